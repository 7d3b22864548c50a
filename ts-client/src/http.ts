import { parseJson } from "./contract.js";
import { ConnectionError, protocolError, statusError, TimeoutError } from "./errors.js";
import type { FetchFunction, Timeouts } from "./options.js";

const DEFAULT_TIMEOUTS = { headersMs: 660_000, firstTokenMs: 330_000, idleMs: 120_000 };

/** One request and its answer. Whoever opens an exchange closes it, which stops whatever of it is still under way. */
export class HttpExchange {
  readonly #url: string;
  readonly #callerSignal: AbortSignal | undefined;
  // `fetch` may leave a listener on its signal until that is collected, so it never gets the caller's, which may be shared.
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#controller.abort(this.#callerSignal?.reason);
  readonly #timers: Partial<Record<keyof Timeouts, ReturnType<typeof setTimeout>>> = {};

  readonly #timeouts: Timeouts | undefined;

  constructor(url: string, callerSignal: AbortSignal | undefined, timeouts: Timeouts | undefined) {
    this.#url = url;
    this.#timeouts = timeouts;
    this.#callerSignal = callerSignal;
    callerSignal?.addEventListener("abort", this.#abort);
  }

  /** Aborts the exchange with a TimeoutError when this time is over; it begins anew with each call. */
  start(which: keyof Timeouts): void {
    this.stop(which);
    const milliseconds = this.#timeouts?.[which] ?? DEFAULT_TIMEOUTS[which];
    const abort = (): void => this.#controller.abort(new TimeoutError(which, milliseconds));
    // One of more than 2 ** 31 would go off at once.
    this.#timers[which] = setTimeout(abort, Math.min(milliseconds, 2e9));
  }

  stop(which: keyof Timeouts): void {
    clearTimeout(this.#timers[which]);
  }

  /** Throws why the exchange was aborted, if it was: by its caller, or by a timer. */
  throwIfAborted(): void {
    this.#controller.signal.throwIfAborted();
  }

  /** Sends the request and returns its answer as soon as the head is here, if that says that it is a success. */
  async send(fetch: FetchFunction, request: RequestInit, onResponse?: (response: Response) => void): Promise<Response> {
    this.start("headersMs");
    const response = await this.#attempt(() => fetch(this.#url, { ...request, signal: this.#controller.signal }));
    this.stop("headersMs");
    onResponse?.(response);
    if (response.ok) return response;
    const body = await response.text().catch(() => "");
    this.throwIfAborted();
    throw statusError(response, body);
  }

  /** Reads the body of an answer that has to be JSON which `isExpected`. */
  async readJson<Body>(response: Response, isExpected: (body: unknown) => body is Body): Promise<Body> {
    const text = await this.#attempt(() => response.text());
    const body = parseJson(text);
    if (isExpected(body)) return body;
    throw protocolError(response, text.slice(0, 100));
  }

  close(): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#callerSignal?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }

  async #attempt<Result>(step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (cause) {
      this.throwIfAborted();
      throw new ConnectionError(this.#url, { cause });
    }
  }
}
