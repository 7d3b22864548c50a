import { isBatchOf, isGenerationResponse, isHealth, isModelList, type StreamEvent } from "./contract.js";
import { ApiError, protocolError } from "./errors.js";
import { readEvents } from "./event-stream.js";
import { gatewayUrl } from "./gateway-url.js";
import type { HttpExchange } from "./http.js";
import { newExchange, type Opened, type Outgoing, openExchange } from "./open-exchange.js";
import type { CallOptions, PythonClientOptions, StandardSchema, Timeouts } from "./options.js";
import { type GenerationStream, generationStream } from "./readable.js";
import { headOf, keepHead, type ResponseHead, responseHead } from "./response-head.js";
import type { ErrorEvent, GenerationRequest, GenerationResponse, Health, ModelList, Problem } from "./schema.gen.js";

/** How far a stream is read, for who leaves it. */
interface Reading {
  exchange?: HttpExchange;
  isLast: boolean;
  isLeft: boolean;
}

/** Calls a Torchbridge gateway. */
export class PythonClient {
  /** Where the gateway is, without a slash at its end. */
  readonly baseUrl: string;
  readonly #options: PythonClientOptions;

  /** @throws TypeError where the address is none of a gateway. */
  constructor(options?: PythonClientOptions);
  constructor(baseUrl: string | URL, options?: PythonClientOptions);
  constructor(first: string | URL | PythonClientOptions = {}, second: PythonClientOptions = {}) {
    this.#options = typeof first === "string" || "href" in first ? { ...second, baseUrl: first } : first;
    this.baseUrl = gatewayUrl(this.#options.baseUrl);
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
   * Leaving the loop early cancels the request, also on the gateway. The stream has its texts alone as `textStream`, and a
   * promise of its `response`.
   *
   * @throws ApiError, before the first event or after some, StreamTruncatedError, ConnectionError, TimeoutError, or the
   * reason of the aborted signal.
   */
  streamText(request: GenerationRequest, options: CallOptions = {}): GenerationStream {
    const reading: Reading = { isLast: false, isLeft: false };
    const leave = (): void => {
      reading.isLeft = !reading.isLast;
      if (reading.isLeft) reading.exchange?.abort(undefined);
    };
    return generationStream(this.#events(request, options, reading), leave);
  }

  async *#events(
    request: GenerationRequest,
    options: CallOptions,
    reading: Reading,
  ): AsyncGenerator<Exclude<StreamEvent, ErrorEvent>, void, undefined> {
    const exchange = newExchange(this.#options, options);
    reading.exchange = exchange;
    let head: ResponseHead | undefined;
    try {
      const outgoing = this.#outgoing("/generate/stream", request, "text/event-stream", "firstTokenMs");
      const [, response] = await openExchange(outgoing, this.#options, options, exchange);
      head = headOf(response);
      const schema = this.#options.schemas?.event;
      exchange.start("idleMs");
      for await (const sent of readEvents(response)) {
        const waitForNext = exchange.handOver(sent.type !== "start");
        reading.isLast = sent.type === "done" || sent.type === "error";
        const event = schema ? await exchange.waitFor(() => checked(schema, sent, response)) : sent;
        exchange.throwIfAborted();
        if (event.type === "error") throw new ApiError(event.problem);
        yield event.type === "delta" ? event : keepHead(event, head); // a set for each would take a tenth of the time
        waitForNext();
      }
    } catch (error) {
      if (reading.isLeft) return;
      exchange.throwIfAborted();
      throw keepHead(error, head);
    } finally {
      exchange.close(reading.isLast);
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
    const batch = await this.#read("/generate/batch", { requests }, options, isBatchOf(requests.length));
    return keepHead(batch.results, responseHead(batch));
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
    options: CallOptions | undefined,
    isExpected: (body: unknown) => body is Body,
    schema?: StandardSchema<Body>,
  ): Promise<Body> {
    const [exchange, response] = await this.open(path, body, options, "application/json");
    const head = headOf(response);
    try {
      const sent = await exchange.readJson(response, isExpected);
      return keepHead(schema ? await exchange.waitFor(() => checked(schema, sent, response)) : sent, head);
    } catch (error) {
      throw keepHead(error, head);
    } finally {
      exchange.close();
    }
  }

  /**
   * Tries until the head of an answer says that it is a success. What comes after it is not tried again.
   *
   * @internal For the other doors of this package. Whoever opens an exchange closes it.
   */
  open(
    path: string,
    body: object | undefined,
    options: CallOptions | undefined,
    accept: string,
    timer?: keyof Timeouts,
    init?: RequestInit,
  ): Promise<Opened> {
    return openExchange({ ...this.#outgoing(path, body, accept, timer), init }, this.#options, options ?? {});
  }

  #outgoing(path: string, body: object | undefined, accept: string, timer: keyof Timeouts | undefined): Outgoing {
    return { url: this.baseUrl + path, body, accept, timer };
  }
}

async function checked<Value>(schema: StandardSchema<Value>, value: Value, response: Response): Promise<Value> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  throw protocolError(response, `${result.issues[0]?.message}`);
}
