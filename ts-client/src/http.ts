import { parseJson } from "./contract.js";
import { ConnectionError, protocolError, statusError } from "./errors.js";

export type FetchFunction = typeof globalThis.fetch;

/** One request and its answer. Whoever opens an exchange closes it, which stops whatever of it is still under way. */
export class HttpExchange {
  readonly #url: string;
  readonly #callerSignal: AbortSignal | undefined;
  // `fetch` may leave a listener on its signal until that is collected, so it never gets the caller's, which may be shared.
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#controller.abort(this.#callerSignal?.reason);

  constructor(url: string, callerSignal: AbortSignal | undefined) {
    this.#url = url;
    this.#callerSignal = callerSignal;
    if (callerSignal?.aborted) this.#abort();
    callerSignal?.addEventListener("abort", this.#abort);
  }

  /** Sends the request and returns its answer as soon as the head is here, if that says that it is a success. */
  async send(fetch: FetchFunction, request: RequestInit): Promise<Response> {
    const response = await this.#attempt(() => fetch(this.#url, { ...request, signal: this.#controller.signal }));
    if (response.ok) return response;
    const body = await response.text().catch(() => "");
    this.#callerSignal?.throwIfAborted();
    throw statusError(response, body);
  }

  /** Reads the body of an answer that has to be JSON which `isExpected`. */
  async readJson<Body>(response: Response, isExpected: (body: unknown) => body is Body): Promise<Body> {
    const text = await this.#attempt(() => response.text());
    const body = parseJson(text);
    if (isExpected(body)) return body;
    throw protocolError(response, `the answer is not the gateway's: ${text.slice(0, 100)}`);
  }

  close(): void {
    this.#callerSignal?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }

  async #attempt<Result>(step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (cause) {
      this.#callerSignal?.throwIfAborted();
      throw new ConnectionError(this.#url, { cause });
    }
  }
}
