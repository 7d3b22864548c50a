import { hasText, isStreamEvent, parseJson } from "./contract.js";
import { protocolError, StreamTruncatedError } from "./errors.js";
import type { StreamEvent } from "./schema.gen.js";

const KNOWN_TYPES: ReadonlySet<string> = new Set<StreamEvent["type"]>(["start", "delta", "done", "error"]);
const MILLISECONDS_TO_END = 1_000;

/**
 * The events of an answer, of which the last is a `done` or an `error`.
 *
 * @throws ApiError with the code `upstream_protocol` if the answer is not such a stream, and StreamTruncatedError if it
 * stops before its last event.
 */
export async function* readEvents(response: Response): AsyncGenerator<StreamEvent, void, undefined> {
  const contentType = response.headers.get("content-type") ?? "no content type";
  if (response.body === null || !contentType.toLowerCase().startsWith("text/event-stream")) {
    throw protocolError(response, `expected an event stream, but the answer has ${contentType}`);
  }
  const reader = response.body.getReader();
  const decoder = new EventStreamDecoder();
  let text = "";
  let isEnded = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new StreamTruncatedError(text, { cause });
      });
      if (done) throw new StreamTruncatedError(text);
      for (const data of decoder.decode(value)) {
        const event = parseStreamEvent(data, response);
        if (event === undefined) continue;
        if (event.type === "delta") text += event.text;
        isEnded = event.type === "done" || event.type === "error";
        yield event;
        if (isEnded) return;
      }
    }
  } finally {
    if (isEnded) await readToEnd(reader);
    else cancel(reader);
  }
}

/**
 * Turns bytes, in any pieces, into the data of whole server-sent events. Other fields are dropped: ours have only data.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamDecoder {
  readonly #utf8 = new TextDecoder();
  #line = "";
  #data: string[] = [];
  #endedInCarriageReturn = false;

  /** The data of each event that `bytes` completes. What never gets its blank line is not an event. */
  *decode(bytes: Uint8Array): Generator<string, void, undefined> {
    const text = this.#utf8.decode(bytes, { stream: true });
    let lineStart = 0;
    // Only the new text is searched, so that a long line in many pieces takes linear time.
    for (const { 0: lineEnd, index } of text.matchAll(/\r\n|\r|\n/g)) {
      const isSecondHalf = index === 0 && lineEnd === "\n" && this.#endedInCarriageReturn;
      const line = this.#line + text.slice(lineStart, index);
      lineStart = index + lineEnd.length;
      if (isSecondHalf) continue;
      this.#line = "";
      if (line !== "") {
        this.#addField(line);
      } else if (this.#data.length > 0) {
        const data = this.#data.join("\n");
        this.#data = [];
        yield data;
      }
    }
    this.#line += text.slice(lineStart);
    if (text !== "") this.#endedInCarriageReturn = text.endsWith("\r");
  }

  #addField(line: string): void {
    if (line === "data") this.#data.push("");
    if (line.startsWith("data:")) this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
  }
}

/**
 * The event that `data` holds, or undefined if it is of a type that this version does not know.
 *
 * @throws ApiError with the code `upstream_protocol` if it is not an event.
 */
export function parseStreamEvent(data: string, response: Response): StreamEvent | undefined {
  const event = parseJson(data);
  if (isStreamEvent(event)) return event;
  if (hasText(event, "type") && !KNOWN_TYPES.has(event.type)) return undefined;
  throw protocolError(response, `the stream has an event that is not the gateway's: ${data.slice(0, 100)}`);
}

/** Lets the server end its answer: a connection that is cut instead cannot serve the next request. */
async function readToEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => cancel(reader), MILLISECONDS_TO_END);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The text is complete, so how its connection ends is of no interest.
  } finally {
    clearTimeout(timer);
  }
}

function cancel(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  // A stream that has failed already refuses this with the same failure.
  reader.cancel().catch(() => undefined);
}
