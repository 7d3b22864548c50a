import { isBatchResponse, isGenerationResponse, isHealth, isModelList, type StreamEvent } from "./contract.js";
import { environmentUrl } from "./environment.js";
import { ApiError, protocolError } from "./errors.js";
import { readEvents } from "./event-stream.js";
import { HttpExchange } from "./http.js";
import type { CallOptions, PythonClientOptions, StandardSchema, Timeouts } from "./options.js";
import { retryDelay, sleep } from "./retry.js";
import type { ErrorEvent, GenerationRequest, GenerationResponse, Health, ModelList, Problem } from "./schema.gen.js";

/** An answer whose head says that it is a success, in an exchange that is still open. */
type Opened = readonly [HttpExchange, Response];

type OpenOptions = CallOptions & Pick<PythonClientOptions, "maxRetries">;

/** Calls a Torchbridge gateway. */
export class PythonClient {
  /** Where the gateway is, without a slash at its end. */
  readonly baseUrl: string;
  readonly #options: PythonClientOptions;

  constructor(options?: PythonClientOptions);
  constructor(baseUrl: string, options?: PythonClientOptions);
  constructor(first: string | PythonClientOptions = {}, second: PythonClientOptions = {}) {
    this.#options = typeof first === "string" ? { ...second, baseUrl: first } : first;
    this.baseUrl = (this.#options.baseUrl ?? environmentUrl() ?? "http://localhost:8000").replace(/\/+$/, "");
  }

  /**
   * Generates a text and waits for the whole of it.
   *
   * @throws ApiError, ConnectionError, TimeoutError, or the reason of the aborted signal.
   */
  generateText(request: GenerationRequest, options?: CallOptions): Promise<GenerationResponse> {
    return this.#read("/generate", request, options, isGenerationResponse, this.#options.schemas?.response);
  }

  /**
   * Generates a text and yields it as it comes: one `start`, any number of `delta`, one `done`.
   * Leaving the loop early cancels the request, also on the gateway.
   *
   * @throws ApiError, before the first event or after some, StreamTruncatedError, ConnectionError, TimeoutError, or the
   * reason of the aborted signal.
   */
  async *streamText(
    request: GenerationRequest,
    options?: CallOptions,
  ): AsyncGenerator<Exclude<StreamEvent, ErrorEvent>, void, undefined> {
    const [exchange, response] = await this.open(
      "/generate/stream",
      request,
      options,
      "text/event-stream",
      "firstTokenMs",
    );
    try {
      exchange.start("idleMs");
      for await (const sent of readEvents(response)) {
        const event = await checked(this.#options.schemas?.event, sent, response);
        exchange.throwIfAborted();
        if (event.type === "error") throw new ApiError(event.problem);
        if (event.type !== "start") exchange.stop("firstTokenMs");
        exchange.stop("idleMs"); // how long the caller takes is no fault of the gateway's
        yield event;
        exchange.start("idleMs");
      }
    } catch (error) {
      exchange.throwIfAborted();
      throw error;
    } finally {
      exchange.close();
    }
  }

  /**
   * Generates many texts and waits for all of them: an answer for each request, in their order, or the problem that
   * there was with it.
   *
   * @throws ApiError, ConnectionError, TimeoutError, or the reason of the aborted signal.
   */
  async generateBatch(
    requests: readonly GenerationRequest[],
    options?: CallOptions,
  ): Promise<(GenerationResponse | Problem)[]> {
    return (await this.#read("/generate/batch", { requests }, options, isBatchResponse)).results;
  }

  /**
   * The models that the gateway serves, and their versions.
   *
   * @throws ApiError, ConnectionError, TimeoutError, or the reason of the aborted signal.
   */
  models(options?: CallOptions): Promise<ModelList> {
    return this.#read("/models", undefined, options, isModelList);
  }

  /**
   * Whether the default model can answer now: this is not tried again.
   *
   * @throws ApiError where it cannot, ConnectionError, TimeoutError, or the reason of the aborted signal.
   */
  health(options?: CallOptions): Promise<Health> {
    return this.#read("/readyz", undefined, { ...options, maxRetries: 0 }, isHealth);
  }

  async #read<Body>(
    path: string,
    body: object | undefined,
    options: OpenOptions | undefined,
    isExpected: (body: unknown) => body is Body,
    schema?: StandardSchema<Body>,
  ): Promise<Body> {
    const [exchange, response] = await this.open(path, body, options, "application/json");
    try {
      return await checked(schema, await exchange.readJson(response, isExpected), response);
    } finally {
      exchange.close();
    }
  }

  /**
   * Tries until the head of an answer says that it is a success. What comes after it is not tried again.
   *
   * @internal For the other doors of this package. Whoever opens an exchange closes it.
   */
  async open(
    path: string,
    body: object | undefined,
    options: OpenOptions = {},
    accept: string,
    timer?: keyof Timeouts,
  ): Promise<Opened> {
    // The global one is looked up at each call: frameworks such as Next.js replace it while they start.
    const { fetch = globalThis.fetch, onRequest, onResponse, onRetry, timeouts } = this.#options;
    const { maxRetries = this.#options.maxRetries ?? 2, signal } = options;
    for (let number = 0; ; number += 1) {
      signal?.throwIfAborted();
      const attempt = { url: this.baseUrl + path, number };
      const exchange = new HttpExchange(attempt.url, signal, timeouts);
      try {
        if (timer) exchange.start(timer);
        const headers = this.#headers(body, options, accept);
        onRequest?.(attempt, headers);
        const request = { headers, ...(body && { method: "POST", body: JSON.stringify(body) }) };
        return [exchange, await exchange.send(fetch, request, (response) => onResponse?.(attempt, response))];
      } catch (error) {
        exchange.close();
        const delay = number < maxRetries ? retryDelay(error, number) : undefined;
        if (delay === undefined) throw error;
        onRetry?.(attempt, error as Error, delay);
        await sleep(delay, signal);
      }
    }
  }

  /** The client's, those of the call, and what neither can change. */
  #headers(body: object | undefined, { headers, idempotencyKey }: CallOptions, accept: string): Headers {
    const { apiKey, headers: own } = this.#options;
    const all = new Headers(own);
    for (const [name, value] of Object.entries({
      authorization: apiKey && `Bearer ${apiKey}`,
      "idempotency-key": idempotencyKey,
      ...headers,
      accept,
      "content-type": body && "application/json",
    })) {
      if (value !== undefined) all.set(name, value);
    }
    return all;
  }
}

async function checked<Value>(
  schema: StandardSchema<Value> | undefined,
  value: Value,
  response: Response,
): Promise<Value> {
  if (schema === undefined) return value;
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  throw protocolError(response, `${result.issues[0]?.message}`);
}
