import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type FetchFunction, isTimeoutError, PythonClient } from "../src/index.js";
import { deferred } from "./deferred.js";
import { sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { caught, collect, DELTAS, encodeEvents, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

// The client's clock stands still where a test does not move it, and the network goes on.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
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

/** Answers with this status and a body that has a beginning only. */
async function startHalfAnswer(status: number): Promise<{ url: string; left: Promise<void>; requests: () => number }> {
  const left = deferred();
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    response.on("close", left.resolve);
    response.writeHead(status, { "content-type": "application/json", "content-length": 1_000 });
    response.write('{"text":');
  });
  return { url, left: left.promise, requests: () => requests };
}

/** As a hook: when the client waits for what comes after it, this time is over. */
function later(milliseconds: number): () => void {
  return () => void setImmediate(() => vi.advanceTimersByTime(milliseconds));
}

it.each(["generateText", "generateBatch", "models", "health"] as const)(
  "%s leaves a server that does not end its answer",
  async (method) => {
    const { url, left } = await startHalfAnswer(200);
    const client = new PythonClient(url, { timeouts: { bodyMs: 1_000 }, onResponse: later(1_000) });
    const calls = {
      generateText: () => client.generateText(REQUEST),
      generateBatch: () => client.generateBatch([REQUEST]),
      models: () => client.models(),
      health: () => client.health(),
    };
    expect(await caught(calls[method]())).toMatchObject({ name: "TimeoutError", timeout: "bodyMs" });
    await left;
  },
);

it.each(["generateText", "streamText"] as const)(
  "%s knows a failure by its head, if its body does not end",
  async (method) => {
    const { url, left, requests } = await startHalfAnswer(503);
    const client = new PythonClient(url, {
      maxRetries: 1,
      timeouts: { bodyMs: 1_000 },
      onResponse: later(1_000),
      onRetry: later(60_000),
    });
    const call = method === "generateText" ? client.generateText(REQUEST) : collect(client.streamText(REQUEST));
    expect(await caught(call)).toMatchObject({ name: "ApiError", status: 503, detail: "HTTP 503 Service Unavailable" });
    await left;
    expect(requests()).toBe(2);
  },
);

it("a call may not take longer than its own timeout, with the waits before its retries", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 503, { ...PROBLEM, retry_after: 0 }));
  const client = new PythonClient(url, { maxRetries: 9, onRequest: later(400) });
  const error = await caught(client.generateText(REQUEST, { timeout: 1_000, onRetry: later(8_000) }));
  expect(error).toMatchObject({ name: "TimeoutError", timeout: "totalMs", message: "totalMs of 1000 is over" });
});

it("a stream may not take longer than its own timeout, also where its events keep coming", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  const stream = new PythonClient(url).streamText(REQUEST, { timeout: { totalMs: 1_000 } });
  await stream.next();
  await stream.next();
  vi.advanceTimersByTime(1_000);
  expect(await caught(stream.next())).toMatchObject({ timeout: "totalMs" });
  await disconnected;
});

it("a call may have timeouts of its own in place of the client's", async () => {
  const { url } = await startHalfAnswer(200);
  const client = new PythonClient(url, { timeouts: { bodyMs: 1_000 }, onResponse: later(5_000) });
  const call = client.generateText(REQUEST, { timeout: { bodyMs: 5_000 } });
  expect(await caught(call)).toMatchObject({ message: "bodyMs of 5000 is over" });
});

it("what is not worth a wait that is longer than what is left is an error at once", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 503, { ...PROBLEM, retry_after: 30 }));
  const error = await caught(new PythonClient(url).generateText(REQUEST, { timeout: 20_000 }));
  expect(error).toMatchObject({ name: "ApiError", retryAfter: 30 });
});

it.each([0, -1, Number.NaN])("%s is no timeout", async (timeout) => {
  const client = new PythonClient("http://unused", { maxRetries: 0 });
  await expect(client.generateText(REQUEST, { timeout })).rejects.toThrow(TypeError);
  for (const which of ["headersMs", "bodyMs", "firstTokenMs", "idleMs", "totalMs"]) {
    const call = client.generateText(REQUEST, { timeout: { [which]: timeout } });
    await expect(call).rejects.toThrow(`${which} is ${timeout}`);
  }
});

it("ends a call by its timeout also where fetch does not look at its signal", async () => {
  const fetch: FetchFunction = () => {
    later(1_000)();
    return new Promise(() => undefined);
  };
  const client = new PythonClient("http://unused", { fetch, timeouts: { headersMs: 1_000 } });
  expect(await caught(client.models())).toMatchObject({ name: "TimeoutError", timeout: "headersMs" });
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
