import { member, type StreamEvent } from "./contract.js";
import { abortError } from "./errors.js";
import { leavable } from "./leavable.js";
import { keepHead, responseHead } from "./response-head.js";
import type { ErrorEvent, GenerationResponse } from "./schema.gen.js";

type TextEvent = Exclude<StreamEvent, ErrorEvent>;
type Events<Event> = AsyncGenerator<Event, void, undefined>;

/** Pieces as they come: for `for await`, and for all that takes a stream of the web's. Leaving it cancels the request. */
export type PieceStream<Piece> = ReadableStream<Piece> & AsyncIterable<Piece>;

/** The events of a text that is coming. They are read once: as events, as pieces of text, or for the whole answer alone. */
export interface GenerationStream extends Events<TextEvent> {
  /** The text, in the pieces that the `delta` events have. */
  readonly textStream: PieceStream<string>;
  /** The answer that the `done` event has. Where nobody has begun to read, waiting for it reads the stream. */
  readonly response: PromiseLike<GenerationResponse>;
}

/** The name of a stream of pieces, the type of the events that have them, and the field there. */
type Pieces = readonly [name: string, type: string, field: string];

/**
 * The events, with a stream of their pieces and a promise of what `done` has as `whole`. Nothing is kept for who reads
 * later, and nothing is read before somebody asks.
 */
export function readable<Event, Stream extends Events<Event>>(
  events: Events<Event>,
  leave: () => void,
  [name, type, field]: Pieces,
  whole: string,
): Stream {
  const promise = wholeOf(events, leave, whole);
  let reader: "caller" | "promise" | undefined;
  let pieces: PieceStream<unknown> | undefined;
  const take = (): void => {
    if (reader === "promise") throw new TypeError(`This stream is read already, for its ${whole}`);
    reader = "caller";
  };
  const readAll = async (): Promise<void> => {
    if (reader) return;
    reader = "promise";
    while (!(await events.next()).done);
  };
  const then: PromiseLike<unknown>["then"] = (...handlers) => {
    Promise.resolve().then(readAll).catch(ignore); // a loop that begins beside it comes first
    return promise.then(...handlers);
  };
  const get = (): PieceStream<unknown> => {
    take();
    pieces ??= pieceStream(events, type, field);
    return pieces;
  };
  events[Symbol.asyncIterator] = () => {
    take();
    return events;
  };
  return Object.defineProperties(events, { [name]: { get }, [whole]: { value: { then } } }) as Events<Event> as Stream;
}

/** The events of a text, to be left by this. */
export function generationStream(events: Events<TextEvent>, leave: () => void): GenerationStream {
  return readable(events, leave, ["textStream", "delta", "text"], "response");
}

/** What `done` has as this field, when somebody has read it: or what the reading failed with, or that it was left. */
function wholeOf(events: Events<unknown>, leave: () => void, field: string): Promise<unknown> {
  const whole = new Promise((resolve, reject) => {
    leavable(events, () => {
      leave();
      reject(abortError());
    });
    const next = events.next.bind(events);
    events.next = () => {
      const result = next();
      result.then(({ value }) => member(value, "type") === "done" && resolve(fieldOf(value, field)), reject);
      return result;
    };
  });
  whole.catch(ignore); // nobody has to look at it
  return whole;
}

function pieceStream(events: Events<unknown>, type: string, field: string): PieceStream<unknown> {
  const source: UnderlyingDefaultSource<unknown> = {
    pull: async (controller) => {
      for (;;) {
        const { done, value } = await events.next();
        if (done) return controller.close();
        if (member(value, "type") === type) return controller.enqueue(member(value, field));
      }
    },
    cancel: async () => void (await events.return()),
  };
  const stream = new ReadableStream(source, { highWaterMark: 0 });
  // Not every browser has it, and elsewhere its `return` waits for the piece that is under way.
  return Object.assign(stream, { [Symbol.asyncIterator]: () => iterator(stream.getReader()) });
}

function iterator<Piece>(reader: ReadableStreamDefaultReader<Piece>): AsyncIterator<Piece, void> {
  const end = async (): Promise<IteratorReturnResult<void>> => {
    await reader.cancel();
    return { done: true, value: undefined };
  };
  return { next: () => reader.read() as Promise<IteratorResult<Piece, void>>, return: end };
}

/** With the head of what it is of. */
function fieldOf(done: unknown, field: string): unknown {
  return keepHead(member(done, field), responseHead(done as object));
}

function ignore(): void {
  // Who has to know of it hears of it elsewhere.
}
