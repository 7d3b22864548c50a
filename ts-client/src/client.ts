import { isBatchResponse, isGenerationResponse, isModelList } from "./contract.js";
import { ApiError } from "./errors.js";
import { readEvents } from "./event-stream.js";
import { type FetchFunction, HttpExchange } from "./http.js";
import type {
  ErrorEvent,
  GenerationRequest,
  GenerationResponse,
  ModelList,
  Problem,
  StreamEvent,
} from "./schema.gen.js";

export interface PythonClientOptions {
  /** Goes out as `authorization: Bearer …`. A key in code that a browser runs is public. */
  readonly apiKey?: string | undefined;
  /** Go out with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Takes the place of the global `fetch`, for example to trace calls. It has to respect `signal`. */
  readonly fetch?: FetchFunction | undefined;
}

export interface CallOptions {
  /** Aborting it cancels the request, also on the gateway, and makes the call throw the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls a Torchbridge gateway. */
export class PythonClient {
  readonly baseUrl: string;
  readonly #headers: Headers;
  readonly #fetch: FetchFunction;

  /** @param baseUrl In a browser it may be a path of the page's own server, such as `/api`. */
  constructor(baseUrl = "http://localhost:8000", options: PythonClientOptions = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.#headers = new Headers(options.headers);
    if (options.apiKey !== undefined) this.#headers.set("authorization", `Bearer ${options.apiKey}`);
    // Looked up at each call, because frameworks such as Next.js replace the global one while they start.
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /**
   * Generates a text and waits for the whole of it.
   *
   * @throws ApiError, ConnectionError, or the reason of the aborted signal.
   */
  async generateText(request: GenerationRequest, { signal }: CallOptions = {}): Promise<GenerationResponse> {
    return await this.#requestJson("/generate", this.#post(request), isGenerationResponse, signal);
  }

  /**
   * Generates a text and yields it as it comes: one `start`, any number of `delta`, one `done`.
   * Leaving the loop early cancels the request, also on the gateway.
   *
   * @throws ApiError, before the first event or after some, StreamTruncatedError, ConnectionError, or the reason of the
   * aborted signal.
   */
  async *streamText(
    request: GenerationRequest,
    { signal }: CallOptions = {},
  ): AsyncGenerator<Exclude<StreamEvent, ErrorEvent>, void, undefined> {
    const exchange = new HttpExchange(`${this.baseUrl}/generate/stream`, signal);
    try {
      const response = await exchange.send(this.#fetch, this.#post(request, "text/event-stream"));
      for await (const event of readEvents(response)) {
        signal?.throwIfAborted();
        if (event.type === "error") throw new ApiError(event.problem);
        yield event;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      exchange.close();
    }
  }

  /**
   * Generates many texts and waits for all of them: an answer for each request, in their order, or the problem that
   * there was with it.
   *
   * @throws ApiError, ConnectionError, or the reason of the aborted signal.
   */
  async generateBatch(
    requests: readonly GenerationRequest[],
    { signal }: CallOptions = {},
  ): Promise<(GenerationResponse | Problem)[]> {
    const batch = await this.#requestJson("/generate/batch", this.#post({ requests }), isBatchResponse, signal);
    return batch.results;
  }

  /**
   * The models that the gateway serves, and their versions.
   *
   * @throws ApiError, ConnectionError, or the reason of the aborted signal.
   */
  async models({ signal }: CallOptions = {}): Promise<ModelList> {
    return await this.#requestJson("/models", { headers: this.#headersWith("application/json") }, isModelList, signal);
  }

  async #requestJson<Body>(
    path: string,
    request: RequestInit,
    isExpected: (body: unknown) => body is Body,
    signal: AbortSignal | undefined,
  ): Promise<Body> {
    const exchange = new HttpExchange(`${this.baseUrl}${path}`, signal);
    try {
      return await exchange.readJson(await exchange.send(this.#fetch, request), isExpected);
    } finally {
      exchange.close();
    }
  }

  #post(body: object, accept = "application/json"): RequestInit {
    const headers = this.#headersWith(accept);
    headers.set("content-type", "application/json");
    return { method: "POST", headers, body: JSON.stringify(body) };
  }

  #headersWith(accept: string): Headers {
    const headers = new Headers(this.#headers);
    headers.set("accept", accept);
    return headers;
  }
}
