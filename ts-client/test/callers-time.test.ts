import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { streamChat } from "../src/chat.js";
import { type FetchFunction, PythonClient, type StandardSchema, type StreamEvent } from "../src/index.js";
import { streamResumable } from "../src/resume.js";
import { TOOL_CHUNKS, wholeStream } from "./chat.js";
import { sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { caught, collect, encodeEvents, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

// The client's clock stands still where a test does not move it, and the network goes on.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function networkTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** As a hook that takes this long, of which the client hears. */
function taking(milliseconds: number): () => Promise<void> {
  return async () => {
    await networkTurn();
    vi.advanceTimersByTime(milliseconds);
    await networkTurn();
  };
}

/** As a hook: when the client waits for what comes after it, this time is over. */
function later(milliseconds: number): () => void {
  return () => void setImmediate(() => vi.advanceTimersByTime(milliseconds));
}

it("the time that the caller takes between two events is not the gateway's", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const client = new PythonClient(url, { timeouts: { idleMs: 1_000, firstTokenMs: 1_000 } });
  for (const stream of [client.streamText(REQUEST), streamResumable(client, REQUEST)]) {
    const types: string[] = [];
    for await (const event of stream) {
      types.push(event.type);
      vi.advanceTimersByTime(5_000);
    }
    expect(types).toEqual(["start", "delta", "delta", "done"]);
  }
});

it("nor is it in a chat, before or after its first text", async () => {
  const { url } = await startServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(wholeStream(TOOL_CHUNKS));
  });
  const client = new PythonClient(url, { timeouts: { idleMs: 1_000, firstTokenMs: 1_000 } });
  const types: string[] = [];
  for await (const event of streamChat(client, {
    messages: [],
    tools: { weather: { parameters: {} }, clock: { parameters: {} } },
  })) {
    types.push(event.type);
    vi.advanceTimersByTime(5_000);
  }
  expect([types[0], types.at(-1)]).toEqual(["start", "done"]);
});

it("the first token has what is left when the caller waits again", async () => {
  const { url } = await startEndlessStream([START]);
  const stream = new PythonClient(url, { timeouts: { firstTokenMs: 1_000 }, onResponse: taking(5_000) }).streamText(
    REQUEST,
  );
  await stream.next();
  vi.advanceTimersByTime(5_000);
  const next = caught(stream.next());
  vi.advanceTimersByTime(1_000);
  expect(await next).toMatchObject({ message: "firstTokenMs of 1000 is over" });
});

it("nor do the caller's schemas and hooks take time of the gateway's", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const passing = taking(5_000);
  const event: StandardSchema<StreamEvent> = {
    "~standard": { validate: async (value) => passing().then(() => ({ value: value as StreamEvent })) },
  };
  const timeouts = { idleMs: 1_000, firstTokenMs: 1_000 };
  const client = new PythonClient(url, { timeouts, schemas: { event }, onRequest: passing, onResponse: passing });
  expect(await collect(client.streamText(REQUEST))).toEqual(WHOLE_STREAM);
});

it("the wait before another attempt is none for a first token", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    if (requests === 1) return sendJson(response, 503, { ...PROBLEM, retry_after: 30 });
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const client = new PythonClient(url, { timeouts: { firstTokenMs: 1_000 }, onRetry: later(40_000) });
  expect(await collect(client.streamText(REQUEST))).toEqual(WHOLE_STREAM);
});

it("a clock that is set meanwhile changes nothing", async () => {
  const clock = vi.spyOn(Date, "now");
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    clock.mockReturnValue(Number.MAX_SAFE_INTEGER);
    sendJson(response, requests === 1 ? 503 : 200, { ...RESPONSE, ...PROBLEM, retry_after: 0 });
  });
  await new PythonClient(url, { onRetry: later(10_000) }).generateText(REQUEST, { timeout: 20_000 });
  expect(requests).toBe(2);
});

it("starts no timer with a negative time, of which Node warns, where a time is over already", async () => {
  vi.useRealTimers();
  const timers = vi.spyOn(globalThis, "setTimeout");
  const fetch: FetchFunction = async () => {
    const end = performance.now() + 5;
    while (performance.now() < end); // so that no timer can tell
    return new Response(encodeEvents(WHOLE_STREAM), { headers: { "content-type": "text/event-stream" } });
  };
  const client = new PythonClient("http://unused", { fetch, timeouts: { firstTokenMs: 1 } });
  await caught(collect(client.streamText(REQUEST)));
  expect(timers.mock.calls.length).toBeGreaterThan(0);
  expect(timers.mock.calls.filter(([, milliseconds]) => (milliseconds ?? 0) < 0)).toEqual([]);
});
