import { getEventListeners } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect, it } from "vitest";
import { streamChat } from "../src/chat.js";
import { type CallOptions, PythonClient } from "../src/index.js";
import { streamObject } from "../src/objects.js";
import { streamResumable } from "../src/resume.js";
import { runTools } from "../src/tools.js";
import { OPENING } from "./chat.js";
import { startEndlessStream } from "./local-server.js";
import { caught, REQUEST, START } from "./wire.js";

type Stream = AsyncGenerator<unknown, void, undefined>;
type Ask = (client: PythonClient, options?: CallOptions) => Stream;

const messages = [{ role: "user", content: "Hello" }] as const;
const STREAMS: readonly (readonly [string, object, Ask])[] = [
  ["streamText", START, (client, options) => client.streamText(REQUEST, options)],
  ["streamObject", START, (client, options) => streamObject(client, { ...REQUEST, schema: {} }, options)],
  ["streamResumable", START, (client, options) => streamResumable(client, REQUEST, options)],
  ["runTools", OPENING, (client, options) => runTools(client, { messages, tools: {} }, options)],
  ["streamChat", OPENING, (client, options) => streamChat(client, { messages }, options)],
];

/** One that waits for its second event. */
async function waiting(opening: object, ask: Ask) {
  const { url, disconnected } = await startEndlessStream([opening]);
  const stream = ask(new PythonClient(url));
  await stream.next();
  return { stream, disconnected };
}

it.each(STREAMS)("%s disconnects when the reader of a pipeline of Node's leaves it", async (_, opening, ask) => {
  const { stream, disconnected } = await waiting(opening, ask);
  const reader = new PassThrough({ objectMode: true });
  const failure = caught(pipeline(Readable.from(stream), reader));
  reader.resume();
  await new Promise(setImmediate); // the pipeline waits for the next event
  reader.destroy();
  expect(await failure).toHaveProperty("code", "ERR_STREAM_PREMATURE_CLOSE");
  await disconnected;
});

it.each(STREAMS)("%s disconnects when an error is thrown into it, and throws the same", async (_, opening, ask) => {
  const { stream, disconnected } = await waiting(opening, ask);
  const next = stream.next();
  expect(await caught(stream.throw("mine"))).toBe("mine");
  expect(await next).toEqual({ done: true, value: undefined });
  await disconnected;
});

it.each(STREAMS)("%s leaves no listener on a signal where nobody reads it", async (_, __, ask) => {
  const { signal } = new AbortController();
  await ask(new PythonClient("http://localhost"), { signal }).return();
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
