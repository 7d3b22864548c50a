import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type DeltaEvent, PythonClient, type StartEvent, StreamTruncatedError } from "../src/index.js";
import { type ObjectEvent, streamObject } from "../src/objects.js";
import { deferred } from "./deferred.js";
import { tellingStream } from "./told-stream.js";
import { caught, collect, delta, RESPONSE, START } from "./wire.js";

// No time passes where a test does not say so.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const WORDS = Array.from({ length: 4_000 }, (_, number) => `word${number}`);
const PIECES = JSON.stringify(WORDS).match(/.{1,8}/gs) ?? [];
const request = { prompt: "Words: ", schema: {} };

/** A client whose stream tells the pieces, as fast as they are read, and then does this. */
function clientOf(pieces: readonly string[], end: (signal?: AbortSignal) => Promise<unknown>): PythonClient {
  const client = new PythonClient("http://unused");
  client.streamText = tellingStream(async function* (_request, options) {
    yield START as StartEvent;
    for (const [index, piece] of pieces.entries()) yield delta(index, piece) as DeltaEvent;
    await end(options?.signal);
    yield { type: "done", response: { ...RESPONSE, text: pieces.join("") } };
  });
  return client;
}

const partialsOf = (events: readonly ObjectEvent<unknown>[]): unknown[] =>
  events.flatMap((event) => (event.type === "partial" ? [event.object] : []));

it("reads a long text for few of its deltas, and all of it before its end", async () => {
  const events = await collect(
    streamObject(
      clientOf(PIECES, async () => undefined),
      request,
    ),
  );
  const partials = partialsOf(events);
  expect(partials.length).toBeLessThan(PIECES.length / 5);
  expect(partials.at(-1)).toEqual(WORDS);
  expect(events.slice(-2).map(({ type }) => type)).toEqual(["partial", "done"]);
});

it("tells each delta of a short text", async () => {
  const client = clientOf(['["', ...Array(400).fill("abcdef"), '"]'], async () => undefined);
  expect(partialsOf(await collect(streamObject(client, request)))).toHaveLength(402);
});

it("tells all that there is in a pause", async () => {
  const [isWaiting, goOn] = [deferred(), deferred()];
  const end = async (): Promise<void> => {
    isWaiting.resolve();
    await goOn.promise;
  };
  const events = streamObject(clientOf(PIECES, end), request);
  const seen: unknown[] = [];
  const read = (async () => {
    for await (const event of events) if (event.type === "partial") seen.push(event.object);
  })();
  await isWaiting.promise;
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.at(-1)).not.toEqual(WORDS);
  await vi.advanceTimersByTimeAsync(16);
  expect(seen.at(-1)).toEqual(WORDS);
  goOn.resolve();
  await read;
});

it("tells all that there is before a failure, and nothing after an abort", async () => {
  const reason = new Error("enough");
  for (const failure of [new StreamTruncatedError("[]"), reason]) {
    const seen: unknown[] = [];
    const stream = streamObject(
      clientOf(PIECES, async () => Promise.reject(failure)),
      request,
    );
    const read = async (): Promise<void> => {
      for await (const event of stream) if (event.type === "partial") seen.push(event.object);
    };
    expect(await caught(read())).toBe(failure);
    expect((seen.at(-1) as string[]).length === WORDS.length).toBe(failure !== reason);
  }
});

it("ends what it is made of for who leaves, and where the object is none", async () => {
  let isEnded = false;
  const client = new PythonClient("http://unused");
  client.streamText = tellingStream(async function* () {
    try {
      yield START as StartEvent;
      for (const [index, piece] of PIECES.entries()) yield delta(index, piece) as DeltaEvent;
      yield { type: "done", response: { ...RESPONSE, text: "no JSON" } };
    } finally {
      isEnded = true;
    }
  });
  for await (const event of streamObject(client, request)) if (event.type === "partial") break;
  expect(isEnded).toBe(true);
  isEnded = false;
  expect(await caught(collect(streamObject(client, request)))).toMatchObject({ name: "InvalidObjectError" });
  expect(isEnded).toBe(true);
});
