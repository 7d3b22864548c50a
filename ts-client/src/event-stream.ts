import { isStreamEvent, parseJson, type StreamEvent } from "./contract.js";
import { protocolError, StreamTruncatedError } from "./errors.js";

const MAX_EVENT_BYTES = 8 * 2 ** 20;
const MILLISECONDS_TO_END = 1_000;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** The bytes are not an event stream of ours. */
export class EventStreamError extends Error {}

/**
 * The events of an answer, of which the last is a `done` or an `error`.
 *
 * @throws ApiError with the code `upstream_protocol` if the answer is not such a stream, and StreamTruncatedError if it
 * stops before its last event.
 * @param isStarted Whether the start came in an earlier response.
 */
export async function* readEvents(
  response: Response,
  decoder: EventStreamDecoder = new EventStreamDecoder(),
  isStarted = false,
): AsyncGenerator<StreamEvent, void, undefined> {
  const reader = readerOf(response);
  let text = "";
  let isEnded = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new StreamTruncatedError(text, { cause });
      });
      if (done) throw new StreamTruncatedError(text);
      for (const data of decoder.feed(value)) {
        const event = parseStreamEvent(data);
        if (event === undefined) continue;
        if (event.type !== "error" && isStarted === (event.type === "start")) {
          throw new EventStreamError(`${event.type} ${isStarted ? "after" : "before"} a start`);
        }
        isStarted = true;
        if (event.type === "delta") text += event.text;
        isEnded = event.type === "done" || event.type === "error";
        yield event;
        if (isEnded) return;
      }
    }
  } catch (error) {
    if (!(error instanceof EventStreamError)) throw error;
    throw protocolError(response, error.message);
  } finally {
    if (isEnded)
      void readToEnd(reader); // not waited for: a proxy may hold the connection
    else cancel(reader);
  }
}

/** @throws ApiError with the code `upstream_protocol`, or TypeError where this environment streams nothing. */
export function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  if (response.body === undefined) {
    throw new TypeError("This fetch streams no bodies. In React Native, give the client the one of expo/fetch.");
  }
  const contentType = response.headers.get("content-type") ?? "nothing";
  if (response.body === null || !/^text\/event-stream/i.test(contentType)) {
    throw protocolError(response, `it is ${contentType}`);
  }
  return response.body.getReader();
}

/**
 * Turns bytes, in any pieces, into the data of whole server-sent events. Of other fields only the `id` is kept.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, except that two things
 * are refused: an event without an end, which would fill the memory, and bytes that are not UTF-8, whose replacements
 * would pass for the model's own text. adapter/event_stream.py reads by the same rules, and
 * ../tests/fixtures/event_stream holds both to them.
 */
export class EventStreamDecoder {
  /** Of the event that `feed` has yielded, or of the last one before it that had one; "" takes it back. */
  lastEventId = "";
  readonly #maxEventBytes: number;
  // Node's takes every byte order mark away that begins a piece, and not the first of all only.
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  // Of the event that is not complete: its lines' bytes, how many, and where the last line begins.
  #event: Uint8Array = Uint8Array.of(0);
  #size = 0;
  #lineStart = 0;
  readonly #data: string[] = [];
  #isAfterCarriageReturn = false;
  /** What a line may begin with that is no part of it: the first line only. */
  #byteOrderMark: RegExp | "" = /^\uFEFF/;

  constructor(maxEventBytes: number = MAX_EVENT_BYTES) {
    this.#maxEventBytes = maxEventBytes;
  }

  /**
   * The data of each event that `chunk` completes. What never gets its blank line is not an event.
   *
   * @throws EventStreamError
   */
  *feed(chunk: Uint8Array): Generator<string, void, undefined> {
    for (const byte of chunk) {
      const isSecondHalf = byte === LINE_FEED && this.#isAfterCarriageReturn;
      this.#isAfterCarriageReturn = byte === CARRIAGE_RETURN;
      if (isSecondHalf) continue;
      if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) {
        this.#addToLine(byte);
        continue;
      }
      const line = this.#takeLine().replace(this.#byteOrderMark, "");
      this.#byteOrderMark = "";
      const [, name, value = ""] = /^(data|id)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === "id") this.lastEventId = value;
      else if (name) this.#data.push(value);
      if (line !== "") continue;
      this.#size = 0;
      this.#lineStart = 0;
      const data = this.#data.splice(0);
      if (data.length > 0) yield data.join("\n");
    }
  }

  #addToLine(byte: number): void {
    if (this.#size === this.#maxEventBytes) {
      throw new EventStreamError(`an event has more than ${this.#maxEventBytes} bytes`);
    }
    if (this.#size === this.#event.length) {
      const grown = new Uint8Array(2 * this.#size); // twice: to grow byte by byte would copy the line for each
      grown.set(this.#event);
      this.#event = grown;
    }
    this.#event[this.#size] = byte;
    this.#size += 1;
  }

  #takeLine(): string {
    const line = this.#event.subarray(this.#lineStart, this.#size);
    this.#lineStart = this.#size;
    try {
      return this.#utf8.decode(line);
    } catch {
      throw new EventStreamError("a line is not UTF-8");
    }
  }
}

/**
 * The event that `data` holds, or undefined if it is of a type that this version does not know.
 *
 * @throws EventStreamError
 */
export function parseStreamEvent(data: string): StreamEvent | undefined {
  const event = parseJson(data);
  const isEvent = isStreamEvent(event);
  if (isEvent === false) throw new EventStreamError(`not an event: ${data.slice(0, 100)}`);
  return isEvent ? (event as StreamEvent) : undefined;
}

/** Lets the server end its answer: a connection that is cut instead cannot serve the next request. */
export async function readToEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => cancel(reader), MILLISECONDS_TO_END);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The text is complete, so how its connection ends is of no interest.
  } finally {
    clearTimeout(timer);
  }
}

export function cancel(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  // A stream that has failed already refuses this with the same failure.
  reader.cancel().catch(() => undefined);
}
