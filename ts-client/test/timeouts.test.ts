import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type FetchFunction, isTimeoutError, PythonClient } from "../src/index.js";
import { deferred } from "./deferred.js";
import { sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { caught, collect, DELTAS, encodeEvents, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

// The client's clock stands still where a test does not move it, and the network goes on.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

it.each(["generateText", "streamText"] as const)("%s leaves a server that sends no head", async (method) => {
  const left = deferred();
  const { url } = await startServer((_, response) => {
    response.on("close", left.resolve);
    vi.advanceTimersByTime(1_000);
  });
  const client = new PythonClient(url, { timeouts: { headersMs: 1_000 } });
  const call = method === "generateText" ? client.generateText(REQUEST) : collect(client.streamText(REQUEST));
  expect(await caught(call)).toMatchObject({ name: "TimeoutError", timeout: "headersMs" });
  await left.promise;
});

it.each([
  ["firstTokenMs", { firstTokenMs: 1_000, idleMs: 5_000 }, [START]],
  ["idleMs", { firstTokenMs: 5_000, idleMs: 1_000 }, [START, ...DELTAS]],
] as const)("a stream that goes silent ends by %s", async (timeout, timeouts, events) => {
  const { url, disconnected } = await startEndlessStream(events);
  const stream = new PythonClient(url, { timeouts }).streamText(REQUEST);
  for (const event of events) expect(await stream.next()).toEqual({ done: false, value: event });
  const next = caught(stream.next());
  vi.advanceTimersByTime(999);
  await networkTurn();
  vi.advanceTimersByTime(1);
  const error = await next;
  expect(isTimeoutError(error) && error.timeout).toBe(timeout);
  await disconnected;
});

it("the time until the head counts for the first token", async () => {
  const { url } = await startServer((_, response) => {
    vi.advanceTimersByTime(900);
    startEventStream(response, [START]);
  });
  const stream = new PythonClient(url, { timeouts: { firstTokenMs: 1_000 } }).streamText(REQUEST);
  await stream.next();
  const next = caught(stream.next());
  vi.advanceTimersByTime(100);
  expect(await next).toMatchObject({ timeout: "firstTokenMs" });
});

it("comments keep no silent stream alive", async () => {
  let response: ServerResponse | undefined;
  const { url } = await startServer((_, answer) => {
    response = answer;
    startEventStream(answer, [START]);
  });
  const { fetch, received } = watching();
  const stream = new PythonClient(url, { fetch, timeouts: { idleMs: 1_000 } }).streamText(REQUEST);
  await stream.next();
  const next = caught(stream.next());
  vi.advanceTimersByTime(600);
  response?.write(": keep-alive\n\n");
  await received(": keep-alive");
  vi.advanceTimersByTime(400);
  expect(await next).toMatchObject({ timeout: "idleMs" });
});

it("each event gives the next one its whole time, and what it ends runs no longer", async () => {
  let response: ServerResponse | undefined;
  const { url } = await startServer((_, answer) => {
    response = answer;
    startEventStream(answer, [START]);
  });
  const timeouts = { headersMs: 1_000, firstTokenMs: 1_500, idleMs: 1_000 };
  const stream = new PythonClient(url, { timeouts }).streamText(REQUEST);
  await stream.next();
  for (const event of WHOLE_STREAM.slice(1)) {
    const next = stream.next();
    vi.advanceTimersByTime(900);
    response?.write(encodeEvents([event]));
    expect(await next).toEqual({ done: false, value: event });
  }
});

it("the time that the caller takes between two events is not the gateway's", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const types: string[] = [];
  for await (const event of new PythonClient(url, { timeouts: { idleMs: 1_000 } }).streamText(REQUEST)) {
    types.push(event.type);
    vi.advanceTimersByTime(5_000);
  }
  expect(types).toEqual(["start", "delta", "delta", "done"]);
});

it("Infinity is no limit", async () => {
  const { url } = await startServer((_, response) => {
    vi.advanceTimersByTime(1_000_000);
    sendJson(response, 200, RESPONSE);
  });
  const client = new PythonClient(url, { timeouts: { headersMs: Number.POSITIVE_INFINITY } });
  expect(await client.generateText(REQUEST)).toEqual(RESPONSE);
});

async function networkTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A `fetch` that tells when a text has come to its reader. */
function watching(): { fetch: FetchFunction; received: (text: string) => Promise<void> } {
  const target = new EventTarget();
  let seen = "";
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      controller.enqueue(piece);
      seen += new TextDecoder().decode(piece);
      target.dispatchEvent(new Event("piece"));
    },
  });
  return {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      return new Response(response.body?.pipeThrough(watch), response);
    },
    received: async (text) => {
      while (!seen.includes(text)) await once(target, "piece");
      await networkTurn();
    },
  };
}
