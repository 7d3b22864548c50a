import { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { expect, expectTypeOf, it } from "vitest";
import { type ChatAnswer, streamChat } from "../src/chat.js";
import { type GenerationResponse, type GenerationStream, PythonClient } from "../src/index.js";
import { streamObject } from "../src/objects.js";
import { deferred } from "./deferred.js";
import { startEventStream, startServer } from "./local-server.js";
import { kindOf, messages, NAMES, readings, startWhole, TEXTS } from "./stream-kinds.js";
import { caught, collect, DELTAS, DONE, encodeEvents, REQUEST, RESPONSE, START } from "./wire.js";

it.each(NAMES)("%s has its pieces alone, and after them the whole answer", async (name) => {
  const kind = kindOf(name);
  const { url, requests } = await startWhole(kind);
  const { pieces, whole } = readings(kind, url);
  expect(await collect(pieces())).toEqual(kind.texts);
  expect(await whole()).toEqual(kind.result);
  expect(await whole()).toEqual(kind.result);
  expect(requests()).toBe(1);
});

it.each(NAMES)("%s is read for who waits for the whole answer, where nobody else reads it", async (name) => {
  const kind = kindOf(name);
  const { url, requests } = await startWhole(kind);
  expect(await readings(kind, url).whole()).toEqual(kind.result);
  const begun = readings(kind, url);
  await begun.stream.next();
  expect(await begun.whole()).toEqual(kind.result);
  expect(requests()).toBe(2);
});

it.each(NAMES)("%s leaves every event to a loop that begins beside who waits for the whole answer", async (name) => {
  const kind = kindOf(name);
  const { url } = await startWhole(kind);
  const events = readings(kind, url);
  const waiting = events.whole().then((result) => result);
  const types = await Promise.all([waiting, collect(events.stream)]);
  expect([types[0], types[1].map(({ type }) => type)]).toEqual([
    kind.result,
    ["start", ...kind.texts.map(() => (name === "streamObject" ? "partial" : "delta")), "done"],
  ]);
  const { pieces, whole } = readings(kind, url);
  expect(await Promise.all([whole(), collect(pieces())])).toEqual([kind.result, kind.texts]);
});

it.each(NAMES)("%s leaves its pieces to who has taken them, and will read them later", async (name) => {
  const kind = kindOf(name);
  const { url } = await startWhole(kind);
  const { pieces, whole } = readings(kind, url);
  const taken = pieces();
  const waiting = whole().then((result) => result);
  await new Promise(setImmediate);
  expect(await collect(taken)).toEqual(kind.texts);
  expect(await waiting).toEqual(kind.result);
});

it.each(NAMES)("%s says to a loop that comes too late who reads it", async (name) => {
  const kind = kindOf(name);
  const { url } = await startWhole(kind);
  const { stream, pieces, whole } = readings(kind, url);
  await whole();
  const message = `This stream is read already, for its ${kind.whole}`;
  expect(pieces).toThrow(new TypeError(message));
  expect(await caught(collect(stream))).toEqual(new TypeError(message));
});

it.each(NAMES)("%s sends nothing while nobody reads, whatever is taken of it", async (name) => {
  const kind = kindOf(name);
  const { url, requests } = await startWhole(kind);
  const { pieces, whole } = readings(kind, url);
  expect(typeof pieces().getReader).toBe("function");
  expect(typeof whole().then).toBe("function");
  await new Promise(setImmediate);
  await collect(readings(kind, url).stream); // its request would come after one that was sent before
  expect(requests()).toBe(1);
});

it("is the body of an answer, as a stream of the web's", async () => {
  const { url } = await startWhole(kindOf("streamText"));
  const { textStream, response } = new PythonClient(url).streamText(REQUEST);
  const answer = new Response(textStream.pipeThrough(new TextEncoderStream()));
  expect(await answer.text()).toBe(RESPONSE.text);
  expect(await response).toEqual(RESPONSE);
  const { textStream: again } = new PythonClient(url).streamText(REQUEST);
  expect(await textOf(Readable.from(again))).toBe(RESPONSE.text);
});

it("yields each piece as soon as it is here", async () => {
  const received = deferred();
  const { url } = await startServer(async (_, response) => {
    startEventStream(response, [START, ...DELTAS.slice(0, 1)]);
    await received.promise;
    response.end(encodeEvents([...DELTAS.slice(1), DONE]));
  });
  const seen: string[] = [];
  for await (const text of new PythonClient(url).streamText(REQUEST).textStream) {
    seen.push(text);
    received.resolve();
  }
  expect(seen).toEqual(TEXTS.texts);
});

it("has the types of its pieces and of the whole", () => {
  const client = new PythonClient();
  const chats = () => streamChat(client, { messages });
  const objects = () => streamObject<{ name: string }>(client, { ...REQUEST, schema: { type: "object" } });
  expectTypeOf<GenerationStream["response"]>().resolves.toEqualTypeOf<GenerationResponse>();
  expectTypeOf<GenerationStream["textStream"]>().toExtend<ReadableStream<string>>();
  expectTypeOf<ReturnType<typeof chats>["answer"]>().resolves.toEqualTypeOf<
    ChatAnswer<Record<never, never>, undefined>
  >();
  expectTypeOf<ReturnType<typeof objects>["object"]>().resolves.toEqualTypeOf<{ name: string }>();
  expectTypeOf<ReturnType<typeof objects>["partialObjectStream"]>().toExtend<AsyncIterable<{ name?: string }>>();
});
