import type { PythonClient } from "./client.js";
import type { StreamEvent } from "./contract.js";
import { ApiError, ConnectionError, isStreamTruncatedError, isTimeoutError, StreamTruncatedError } from "./errors.js";
import { EventStreamDecoder, readEvents } from "./event-stream.js";
import { HttpExchange } from "./http.js";
import type { CallOptions } from "./options.js";
import { type GenerationStream, generationStream } from "./readable.js";
import { Reading } from "./reading.js";
import { setHeaders } from "./request-headers.js";
import { headOf, keepHead, responseHead } from "./response-head.js";
import { retryDelay } from "./retry.js";
import type { ErrorEvent, GenerationRequest, StartEvent } from "./schema.gen.js";

/** Where a stream stands, as plain data: with it another call goes on behind the last event, also in another page. */
export interface StreamPosition {
  /** The answer that it is of. */
  readonly start: StartEvent;
  /** All of it up to there. */
  readonly text: string;
  /** What the gateway needs to go on, signed by it. */
  readonly lastEventId: string;
}

/** What a call can be told that goes on where its connection is lost. */
export interface ResumeOptions extends CallOptions {
  /** How often it goes on without a new text in between. 5. */
  readonly maxResumes?: number | undefined;
  /** Where an earlier call with the same request was. Its text comes first, as one `delta`. */
  readonly from?: StreamPosition | undefined;
  /**
   * Whether the answer may run on where its caller leaves, as long as the gateway lets it: for who comes back with `from`.
   * false: who leaves the loop, or aborts, stops it for good.
   */
  readonly runsOn?: boolean | undefined;
  /** Hears where the stream is after each event, or that nothing could go on behind it. */
  readonly onPosition?: ((position: StreamPosition | undefined) => void) | undefined;
}

type TextEvent = Exclude<StreamEvent, ErrorEvent>;

/**
 * Generates a text as `streamText` does, and goes on behind the last event where the connection is lost, or the gateway:
 * no text is lost, and none comes twice. Where it is lost before the first event, it asks anew. It takes gateways that give
 * their events ids; from others it is `streamText`.
 * Timeouts hold for each connection. Leaving the loop early stops the stream for good, also on a gateway that would keep
 * it for a while.
 *
 * @throws What `streamText` throws, where nothing can go on, or `maxResumes` attempts in a row brought no text.
 */
export function streamResumable(
  client: PythonClient,
  request: GenerationRequest,
  options: ResumeOptions = {},
): GenerationStream {
  const reading = new Reading(options.signal);
  const events = resumableEvents(client, request, options, reading);
  return generationStream(events, () => reading.leave());
}

/**
 * Stops a stream for good: on its gateway it ends for everybody who reads it, and nobody goes on with it there. A page may
 * go away meanwhile.
 *
 * @throws ApiError, ConnectionError, TimeoutError, or the reason of the aborted signal.
 */
export async function stopStream(
  client: PythonClient,
  position: Pick<StreamPosition, "lastEventId">,
  options: CallOptions = {},
): Promise<void> {
  const headers = new Headers();
  setHeaders(headers, options.headers);
  setHeaders(headers, { "last-event-id": position.lastEventId });
  const call = { ...options, headers };
  const init = { method: "DELETE", keepalive: true };
  const [exchange] = await client.open("/generate/stream", undefined, call, "application/json", undefined, init);
  exchange.close(true);
}

async function* resumableEvents(
  client: PythonClient,
  request: GenerationRequest,
  { maxResumes = 5, from, runsOn = false, onPosition, ...options }: ResumeOptions,
  reading: Reading,
): AsyncGenerator<TextEvent, void, undefined> {
  let position = from;
  let told = from?.text ?? "";
  let lastIndex = -1;
  let isBegun = from !== undefined;
  let failures = 0; // in a row
  reading.open();
  try {
    if (from !== undefined) yield from.start;
    if (told !== "") yield { type: "delta", index: 0, text: told, logprobs: null, tool_calls: null };
    for (;;) {
      let text = position?.text ?? "";
      let start = position?.start;
      try {
        for await (const [event, id] of connection(client, request, options, position, reading)) {
          isBegun = true;
          if (event.type === "start") start = event;
          if (event.type === "delta") text += event.text;
          if (start !== undefined && id !== (position?.lastEventId ?? "")) {
            position = id === "" ? undefined : { start, text, lastEventId: id };
            onPosition?.(position);
          }
          if (event.type !== "delta") yield event;
          else if (text.length > told.length || event.index > lastIndex) {
            // What came behind the last id before the connection's end comes once more.
            const fresh = text.slice(Math.max(told.length, text.length - event.text.length));
            told += fresh;
            lastIndex = event.index;
            failures = 0;
            yield { ...event, text: fresh };
          }
        }
        return;
      } catch (error) {
        const canGoOn = position !== undefined || (!isBegun && isLost(error)); // of what nobody has heard, nothing is lost
        const delay = canGoOn && failures < maxResumes ? resumeDelay(error, failures) : undefined;
        if (delay === undefined || reading.signal.aborted) {
          if (!isStreamTruncatedError(error)) throw error;
          throw keepHead(new StreamTruncatedError(told, { cause: error }), responseHead(error));
        }
        failures += 1;
        await sleep(delay, reading.signal);
      }
    }
  } catch (error) {
    if (!reading.isLeft) throw error;
  } finally {
    reading.close();
    if (position && !runsOn && !reading.isLast && reading.signal.aborted) {
      const { headers } = options;
      void stopStream(client, position, { headers }).catch(() => undefined); // what is not heard ends by itself
    }
  }
}

/** The events of one connection up to the last one, each with the id to go on behind it. */
async function* connection(
  client: PythonClient,
  request: GenerationRequest,
  options: CallOptions,
  position: StreamPosition | undefined,
  reading: Reading,
): AsyncGenerator<readonly [TextEvent, string], void, undefined> {
  const headers = new Headers();
  setHeaders(headers, options.headers);
  setHeaders(headers, { "x-resumable": "true", "last-event-id": position?.lastEventId });
  const call = { ...options, headers, signal: reading.signal };
  const [exchange, response] = await client.open(
    "/generate/stream",
    request,
    call,
    "text/event-stream",
    "firstTokenMs",
  );
  const head = headOf(response);
  const decoder = new EventStreamDecoder();
  decoder.lastEventId = position?.lastEventId ?? "";
  try {
    exchange.start("idleMs");
    for await (const event of readEvents(response, decoder, position !== undefined)) {
      reading.isLast = event.type === "done" || event.type === "error";
      exchange.throwIfAborted();
      if (event.type === "error") throw new ApiError(event.problem);
      const waitForNext = exchange.handOver(event.type !== "start");
      yield [event.type === "delta" ? event : keepHead(event, head), decoder.lastEventId];
      waitForNext();
    }
  } catch (error) {
    exchange.throwIfAborted();
    throw keepHead(error, head);
  } finally {
    exchange.close(reading.isLast);
  }
}

/** Milliseconds until it is worth going on, or undefined where the failure would come again. */
function resumeDelay(error: unknown, failures: number): number | undefined {
  return retryDelay(isLost(error) ? new ConnectionError("") : error, failures);
}

/** Whether the connection broke, or fell silent, after the head of its answer. */
function isLost(error: unknown): boolean {
  return isStreamTruncatedError(error) || (isTimeoutError(error) && error.timeout === "idleMs");
}

/** @throws As soon as the signal is aborted. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const exchange = new HttpExchange(signal, {});
  try {
    await exchange.sleep(milliseconds);
  } finally {
    exchange.close();
  }
}
