import { checkReachable } from "./gateway-url.js";
import { HttpExchange } from "./http.js";
import type { Attempt, CallOptions, PythonClientOptions, Timeouts } from "./options.js";
import { requestHeaders } from "./request-headers.js";
import { headOf } from "./response-head.js";
import { retryDelay } from "./retry.js";

/** An answer whose head says that it is a success, in an exchange that is still open. */
export type Opened = readonly [HttpExchange, Response];

/** What goes out, and what its answer is to be. */
export interface Outgoing {
  readonly url: string;
  readonly body: object | undefined;
  readonly accept: string;
  /** The timeout that begins with each attempt, beside the head's. */
  readonly timer: keyof Timeouts | undefined;
  /** What else `fetch` is told. */
  readonly init?: RequestInit | undefined;
}

/** One for a call, with the timeouts that hold for it. */
export function newExchange({ timeouts }: PythonClientOptions, { signal, timeout }: CallOptions): HttpExchange {
  return new HttpExchange(signal, { ...timeouts, ...(typeof timeout === "number" ? { totalMs: timeout } : timeout) });
}

/** Tries until the head of an answer says that it is a success. What comes after it is not tried again. */
export async function openExchange(
  outgoing: Outgoing,
  client: PythonClientOptions,
  call: CallOptions,
  exchange: HttpExchange = newExchange(client, call),
): Promise<Opened> {
  const { maxRetries = client.maxRetries ?? 2 } = call;
  try {
    for (let number = 0; ; number += 1) {
      const attempt = { url: outgoing.url, number };
      const outcome = await tryOnce(exchange, attempt, outgoing, client, call);
      if ("headers" in outcome) return [exchange, outcome];
      exchange.stop("firstTokenMs"); // of this attempt: the next one has its own
      const delay = number < maxRetries ? retryDelay(outcome, number) : undefined;
      if (delay === undefined || !exchange.hasTime(delay)) throw outcome;
      client.logger?.warn("torchbridge: trying again", { ...attempt, error: outcome, delayMs: delay });
      for (const { onRetry } of [client, call]) await exchange.waitFor(() => onRetry?.(attempt, outcome, delay));
      await exchange.sleep(delay);
    }
  } catch (error) {
    exchange.close();
    throw error;
  }
}

/** The answer, or a failure that may be tried again. All else is thrown: what a hook throws, and why it was aborted. */
async function tryOnce(
  exchange: HttpExchange,
  attempt: Attempt,
  { url, body, accept, timer, init }: Outgoing,
  client: PythonClientOptions,
  call: CallOptions,
): Promise<Response | Error> {
  // The global one is looked up at each call: frameworks such as Next.js replace it while they start.
  const { fetch = globalThis.fetch, logger, onRequest, onResponse } = client;
  if (client.fetch === undefined) checkReachable(url);
  if (typeof fetch !== "function") throw new TypeError("There is no fetch here: give the client one");
  const headers = await exchange.waitFor(() => requestHeaders(client, call, accept, body));
  await exchange.waitFor(() => onRequest?.(attempt, headers));
  const startedAt = performance.now();
  if (timer) exchange.start(timer);
  let response: Response;
  try {
    response = await exchange.send(fetch, url, {
      ...init,
      headers,
      ...(body && { method: "POST", body: JSON.stringify(body, refuseNoNumber) }),
    });
  } catch (error) {
    exchange.throwIfAborted();
    return error as Error;
  }
  const { status, requestId } = headOf(response);
  logger?.debug("torchbridge: answer", {
    ...attempt,
    status,
    requestId,
    ms: Math.round(performance.now() - startedAt),
  });
  const goOn = exchange.pause("firstTokenMs");
  await exchange.waitFor(() => onResponse?.(attempt, headOf(response)));
  goOn();
  return response.ok ? response : await exchange.readFailure(response);
}

/** @throws TypeError where JSON would have null in place of a number: null means a default. */
function refuseNoNumber(name: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  throw new TypeError(`${name} is ${value}, which is no number of JSON`);
}
