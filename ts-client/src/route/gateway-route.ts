import { member } from "../contract.js";
import { checkReachable, gatewayUrl } from "../gateway-url.js";
import type { FetchFunction, PythonClientOptions, RequestHeaders } from "../options.js";
import { authorization, setHeaders } from "../request-headers.js";
import { isOwnPage } from "./own-page.js";
import { type Prepare, preparedBody } from "./prepared-body.js";
import { problemResponse } from "./problem-response.js";
import { readBody } from "./request-body.js";

const REQUEST_HEADERS = [
  "accept",
  "baggage",
  "cache-control",
  "content-type", // the page's own word: another site's page cannot say JSON without leave, and the gateway takes no other
  "idempotency-key",
  "last-event-id",
  "traceparent",
  "tracestate",
  "x-first-token-timeout",
  "x-request-id",
  "x-request-timeout",
  "x-resumable",
];
const RESPONSE_HEADERS = [
  "age",
  "cache-status",
  "content-type",
  "retry-after",
  "server-timing",
  "x-request-id",
  "x-vercel-ai-ui-message-stream",
];
const MAX_BODY_BYTES = 2 ** 20;

type Method = "GET" | "POST" | "DELETE";

/** The gateway's addresses that a kind of route can stand for, with the methods that each takes. `{id}` is any one part. */
export type Methods<Path extends string> = Readonly<Record<Path, readonly Method[]>>;

/** The gateway's address that a request means, in whose place `path` stands. */
interface Meant<Path extends string> {
  readonly path: Path;
  readonly address: string;
}

/** Where the gateway is, and what the route sends it. */
export interface RouteOptions<Path extends string, Body> {
  /** Where the gateway is. Left out, it is the environment variable TORCHBRIDGE_BASE_URL, or `http://localhost:8000`. */
  readonly baseUrl?: string | URL | undefined;
  /** The gateway's addresses that the route stands for. All of them. */
  readonly paths?: readonly Path[] | undefined;
  /**
   * The gateway's key, which stays on the server, or what gives it for each request. Left out, it is the environment
   * variable TORCHBRIDGE_API_KEY. "" is none.
   */
  readonly apiKey?: PythonClientOptions["apiKey"];
  /** Headers for the gateway that only the server can know, such as `x-user` of the session. */
  readonly headers?: ((request: Request) => RequestHeaders | Promise<RequestHeaders>) | undefined;
  /**
   * Decides about each request before the gateway hears of it: the body that it returns is sent, and a Response that it
   * returns is the answer. `body` is as the page sent it, and the gateway checks what comes of it. Of a batch each request
   * comes by itself; what has no body, as `/models`, comes with undefined.
   */
  readonly prepare?: Prepare<Body> | undefined;
  /** Pages of other origins that may use the route, as `https://app.example.com`. None. CORS's own headers are not its part. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** The longest body, in bytes. 1 MiB, as the gateway. */
  readonly maxBodyBytes?: number | undefined;
  /** Hears why a request was answered with 500 (what `prepare`, `headers` or `apiKey` throws) or 503. `console.error`. */
  readonly onError?: ((error: unknown, request: Request) => void) | undefined;
  /** Takes the place of the global `fetch`. */
  readonly fetch?: FetchFunction | undefined;
}

/**
 * A route handler for these addresses of the gateway, and no others.
 *
 * @throws TypeError where `baseUrl` is no address of a gateway.
 */
export function gatewayRoute<Path extends string, Body>(
  methods: Methods<Path>,
  options: RouteOptions<Path, Body>,
): (request: Request) => Promise<Response> {
  if (options.baseUrl !== undefined) checkReachable(gatewayUrl(options.baseUrl));
  return async (request) => {
    try {
      return await answer(request, methods, options);
    } catch (error) {
      if (isFrameworks(error)) throw error;
      tell(error, request, options.onError);
      const detail = "The server of this page failed.";
      return problemResponse({ status: 500, title: "The server failed", code: "internal", detail });
    }
  };
}

async function answer<Path extends string, Body>(
  request: Request,
  methods: Methods<Path>,
  options: RouteOptions<Path, Body>,
): Promise<Response> {
  const meant = gatewayPath(request.url, options.paths ?? (Object.keys(methods) as Path[]));
  if (meant === undefined) {
    const detail = "There is nothing at this address.";
    return problemResponse({ status: 404, title: "Not found", code: "not_found", detail });
  }
  const asked = request.method === "HEAD" ? "GET" : request.method;
  const method = methods[meant.path].find((taken) => taken === asked);
  if (method === undefined) {
    const facts = { status: 405, title: "Method not allowed", code: "method_not_allowed" } as const;
    const taken = methods[meant.path].join(", ");
    return problemResponse({ ...facts, detail: `${meant.path} takes ${taken}.` }, { allow: taken });
  }
  if (method !== "GET" && !isOwnPage(request, options.allowedOrigins ?? [])) {
    const detail = "Pages of other sites may not use this address.";
    return problemResponse({ status: 403, title: "Forbidden", code: "forbidden", detail });
  }
  const body = await outgoingBody(request, meant.path, method, options);
  return body instanceof Response ? body : await sent(request, meant.address, body, options);
}

/** Where the path ends as one of the gateway's does: it is below whatever path the route is mounted at. */
function gatewayPath<Path extends string>(url: string, paths: readonly Path[]): Meant<Path> | undefined {
  const parts = new URL(url).pathname.replace(/\/+$/, "").split("/");
  for (const path of paths) {
    const expected = path.split("/").slice(1);
    const last = parts.slice(1).slice(-expected.length);
    const isIt = expected.every((part, index) => (part === "{id}" ? last[index] : part === last[index]));
    if (isIt) return { path, address: `/${last.join("/")}` };
  }
  return undefined;
}

async function outgoingBody<Path extends string, Body>(
  request: Request,
  path: Path,
  method: Method,
  { maxBodyBytes = MAX_BODY_BYTES, prepare }: RouteOptions<Path, Body>,
): Promise<Blob | string | undefined | Response> {
  if (method !== "POST") {
    const refusal = await prepare?.(request, undefined);
    return refusal instanceof Response ? refusal : undefined;
  }
  const body = await readBody(request, maxBodyBytes);
  if (prepare === undefined || body instanceof Response) return body;
  return await preparedBody(request, body, path === "/generate/batch", prepare);
}

async function sent<Path extends string, Body>(
  request: Request,
  address: string,
  body: Blob | string | undefined,
  options: RouteOptions<Path, Body>,
): Promise<Response> {
  const { apiKey, fetch = globalThis.fetch } = options;
  const headers = pick(request.headers, REQUEST_HEADERS);
  setHeaders(headers, { authorization: await authorization(apiKey) });
  setHeaders(headers, await options.headers?.(request));
  const url = gatewayUrl(options.baseUrl) + address;
  checkReachable(url);
  try {
    const { method, signal } = request;
    return relayed(await fetch(url, { method, headers, signal, ...(body !== undefined && { body }) }));
  } catch (error) {
    // Nobody hears it, but a log that counts statuses counts no fault of the gateway's.
    const gone = { status: 499, title: "The caller went away, or the answer was stopped", code: "cancelled" } as const;
    if (request.signal.aborted) return problemResponse({ ...gone, detail: "The page has left." });
    tell(error, request, options.onError);
    const missing = { status: 503, title: "The model server is not there", code: "upstream_unavailable" } as const;
    const detail = "The gateway cannot be reached.";
    return problemResponse({ ...missing, detail, retryable: true, retry_after: 5 });
  }
}

function relayed(response: Response): Response {
  const headers = pick(response.headers, RESPONSE_HEADERS);
  // Next.js and proxies before it would compress a stream, and send it when it is complete.
  headers.set("cache-control", "no-store, no-transform");
  headers.set("x-accel-buffering", "no");
  return new Response(response.body, { status: response.status, headers });
}

function pick(from: Headers, names: readonly string[]): Headers {
  const picked = new Headers();
  for (const name of names) {
    const value = from.get(name);
    if (value !== null) picked.set(name, value);
  }
  return picked;
}

/** What `redirect()`, `notFound()` and the like of next/navigation throw, for Next.js to catch: they have a `digest`. */
function isFrameworks(error: unknown): boolean {
  return error instanceof Error && typeof member(error, "digest") === "string";
}

function tell(error: unknown, request: Request, onError: RouteOptions<string, never>["onError"]): void {
  try {
    // biome-ignore lint/suspicious/noConsole: a server's log is where an operator looks for a 500
    if (onError === undefined) console.error("torchbridge: the route failed", error);
    else onError(error, request);
  } catch {
    // The page gets its answer all the same.
  }
}
