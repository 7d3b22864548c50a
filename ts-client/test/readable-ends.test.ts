import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { type GenerationStream, isApiError, PythonClient } from "../src/index.js";
import { startEndlessStream, startServer } from "./local-server.js";
import { kindOf, NAMES, readings } from "./stream-kinds.js";
import { caught, collect, ERROR, encodeEvents, PROBLEM, REQUEST } from "./wire.js";

/** Hears of rejections that nobody takes. */
function unhandled(): unknown[] {
  const reasons: unknown[] = [];
  const hear = (reason: unknown): number => reasons.push(reason);
  process.on("unhandledRejection", hear);
  onTestFinished(() => void process.off("unhandledRejection", hear));
  return reasons;
}

it.each(NAMES)("%s fails as one: in the loop over its pieces, and for who waits for the whole", async (name) => {
  const kind = kindOf(name);
  const reasons = unhandled();
  const { url } = await startServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(encodeEvents([...kind.parts, name === "streamChat" ? PROBLEM : ERROR]));
  });
  const { pieces, whole } = readings(kind, url);
  const seen: unknown[] = [];
  const error = await caught(
    (async () => {
      for await (const piece of pieces()) seen.push(piece);
    })(),
  );
  expect(isApiError(error) && error.code).toBe("overloaded");
  expect(seen).toEqual(kind.texts);
  expect(await caught(Promise.resolve(whole()))).toBe(error);
  expect(isApiError(await caught(Promise.resolve(readings(kind, url).whole())))).toBe(true);
  expect(await caught(collect(readings(kind, url).stream))).toHaveProperty("code", "overloaded");
  await new Promise(setImmediate);
  expect(reasons).toEqual([]);
});

it.each(NAMES)("%s throws the reason of an abort for its pieces and its whole, and disconnects", async (name) => {
  const kind = kindOf(name);
  const reasons = unhandled();
  const { url, disconnected } = await startEndlessStream(kind.parts);
  const controller = new AbortController();
  const { pieces, whole } = readings(kind, url, { signal: controller.signal });
  const error = await caught(
    (async () => {
      for await (const _ of pieces()) controller.abort("enough");
    })(),
  );
  expect([error, await caught(Promise.resolve(whole()))]).toEqual(["enough", "enough"]);
  await disconnected;
  expect(reasons).toEqual([]);
});

it.each(NAMES)("%s disconnects when the loop over its pieces is left, and has no whole answer then", async (name) => {
  const kind = kindOf(name);
  const { url, disconnected } = await startEndlessStream(kind.parts);
  const { pieces, whole } = readings(kind, url);
  for await (const _ of pieces()) break;
  await disconnected;
  expect(await caught(Promise.resolve(whole()))).toMatchObject({ name: "AbortError" });
});

it.each(NAMES)("%s disconnects at once when its pieces are cancelled while one is awaited", async (name) => {
  const kind = kindOf(name);
  for (const leave of [
    async (pieces: GenerationStream["textStream"]) => {
      const reader = pieces.getReader();
      for (const _ of kind.texts) await reader.read();
      const waiting = reader.read();
      await reader.cancel();
      expect(await waiting).toEqual({ done: true, value: undefined });
    },
    async (pieces: GenerationStream["textStream"]) => {
      const readable = Readable.from(pieces).resume();
      await new Promise((resolve) => readable.once("data", resolve));
      await new Promise(setImmediate); // it waits for the next one
      readable.destroy();
    },
  ]) {
    const { url, disconnected } = await startEndlessStream(kind.parts);
    await leave(readings(kind, url).pieces());
    await disconnected;
  }
});

it("has no answer where it is left before it is read, and says so to nobody who does not ask", async () => {
  const reasons = unhandled();
  const stream = new PythonClient("http://localhost").streamText(REQUEST);
  await stream.return();
  expect(await caught(Promise.resolve(stream.response))).toMatchObject({ name: "AbortError" });
  await new PythonClient("http://localhost").streamText(REQUEST).return();
  await new Promise(setImmediate);
  expect(reasons).toEqual([]);
});
