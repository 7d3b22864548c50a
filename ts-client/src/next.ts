import { gatewayUrl } from "./gateway-url.js";
import type { FetchFunction } from "./options.js";
import type { Problem } from "./schema.gen.js";

const REQUEST_HEADERS = [
  "accept",
  "cache-control",
  "content-type", // the page's own word: another site's page cannot say JSON without leave, and the gateway takes no other
  "idempotency-key",
  "x-first-token-timeout",
  "x-request-id",
  "x-request-timeout",
];
const RESPONSE_HEADERS = ["age", "cache-status", "content-type", "retry-after", "x-request-id"];
const MAX_BODY_BYTES = 2 ** 20;

/** Where the gateway is, and what the route sends it. */
export interface GenerateRouteOptions {
  /** Where the gateway is. Left out, it is the environment variable TORCHBRIDGE_BASE_URL, or `http://localhost:8000`. */
  readonly baseUrl?: string | undefined;
  /** The gateway's address that the route stands for. `/generate/stream`. */
  readonly path?: "/generate" | "/generate/stream" | "/generate/batch" | undefined;
  /** The gateway's key, which stays on the server. */
  readonly apiKey?: string | undefined;
  /** Headers for the gateway that only the server can know, such as `x-user` of the session. */
  readonly headers?: ((request: Request) => Record<string, string> | Promise<Record<string, string>>) | undefined;
  /** The longest body, in bytes. 1 MiB, as the gateway. */
  readonly maxBodyBytes?: number | undefined;
  /** Takes the place of the global `fetch`. */
  readonly fetch?: FetchFunction | undefined;
}

/**
 * A route handler that hands a page's requests to the gateway and its answers back, as they come: with status, problem and
 * request id. A page that goes away cancels its request, also on the gateway.
 *
 *     // app/api/generate/stream/route.ts
 *     export const POST = createGenerateRoute({ apiKey: process.env.TORCHBRIDGE_API_KEY });
 */
export function createGenerateRoute(options: GenerateRouteOptions = {}): (request: Request) => Promise<Response> {
  const { apiKey, path = "/generate/stream", maxBodyBytes = MAX_BODY_BYTES } = options;
  return async (request) => {
    const baseUrl = gatewayUrl(options.baseUrl);
    const body = await readBody(request, maxBodyBytes);
    if (body === undefined) {
      const detail = `The request body has more than ${maxBodyBytes} bytes.`;
      return problemResponse({
        status: 413,
        title: "The request body is too large",
        code: "payload_too_large",
        detail,
      });
    }
    const headers = pick(request.headers, REQUEST_HEADERS);
    for (const [name, value] of Object.entries((await options.headers?.(request)) ?? {})) headers.set(name, value);
    if (apiKey !== undefined) headers.set("authorization", `Bearer ${apiKey}`);
    try {
      const send = options.fetch ?? globalThis.fetch;
      const init = { method: "POST", headers, body, signal: request.signal };
      return relayed(await send(baseUrl + path, init));
    } catch {
      // Nobody hears it, but a log that counts statuses counts no fault of the gateway's.
      const gone = { status: 499, title: "The caller went away", code: "cancelled" } as const;
      if (request.signal.aborted) return problemResponse({ ...gone, detail: "The page has left." });
      const detail = "The gateway cannot be reached.";
      const title = "The model server is not there";
      return problemResponse({
        status: 503,
        title,
        code: "upstream_unavailable",
        detail,
        retryable: true,
        retry_after: 5,
      });
    }
  };
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

/** Undefined where it is longer than it may be, as soon as that shows. */
async function readBody(request: Request, maxBytes: number): Promise<Blob | undefined> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > maxBytes) {
      await reader.cancel();
      return undefined;
    }
    pieces.push(value);
  }
  return new Blob(pieces);
}

function problemResponse(
  facts: Pick<Problem, "status" | "title" | "code" | "detail"> & Partial<Pick<Problem, "retryable" | "retry_after">>,
): Response {
  const problem: Problem = {
    type: `urn:torchbridge:error:${facts.code}`,
    request_id: null,
    retryable: false,
    retry_after: null,
    errors: [],
    ...facts,
  };
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (problem.retry_after !== null) headers.set("retry-after", String(problem.retry_after));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
