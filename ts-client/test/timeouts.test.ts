import { once } from "node:events";
import { expect, it } from "vitest";
import { isTimeoutError, PythonClient, type Timeouts } from "../src/index.js";
import { sendJson, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, DELTAS, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

const MANY = 60_000;

it.each(["generateText", "streamText"] as const)("%s leaves a server that sends no head", async (method) => {
  const left = Promise.withResolvers<void>();
  const { url } = await startServer((_, response) => response.on("close", left.resolve));
  const client = new PythonClient(url, { timeouts: { headersMs: 30 } });
  const call = method === "generateText" ? client.generateText(REQUEST) : collect(client.streamText(REQUEST));
  expect(await caught(call)).toMatchObject({ name: "TimeoutError", timeout: "headersMs" });
  await left.promise;
});

it.each([
  ["firstTokenMs", { firstTokenMs: 30, idleMs: MANY }, [START]],
  ["idleMs", { idleMs: 30, firstTokenMs: MANY }, [START, ...DELTAS]],
] as const)("a stream that goes silent ends by %s", async (timeout, timeouts: Timeouts, events) => {
  const { url, disconnected } = await startEndlessStream(events);
  const seen: unknown[] = [];
  const error = await caught(
    (async () => {
      for await (const event of new PythonClient(url, { timeouts }).streamText(REQUEST)) seen.push(event);
    })(),
  );
  expect(isTimeoutError(error) && error.timeout).toBe(timeout);
  expect(seen).toEqual(events);
  await disconnected;
});

it("comments keep no silent stream alive", async () => {
  const { url } = await startServer(async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write(": keep-alive\n\n"), 5);
    await once(response, "close");
    clearInterval(timer);
  });
  const client = new PythonClient(url, { timeouts: { idleMs: 50 } });
  expect(await caught(collect(client.streamText(REQUEST)))).toMatchObject({ timeout: "idleMs" });
});

it("the time that the caller takes between two events is not the gateway's", async () => {
  const { url } = await startServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(WHOLE_STREAM.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""));
  });
  const types: string[] = [];
  for await (const event of new PythonClient(url, { timeouts: { idleMs: 20 } }).streamText(REQUEST)) {
    types.push(event.type);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(types).toEqual(["start", "delta", "delta", "done"]);
});

it("Infinity is no limit", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 200, RESPONSE));
  const client = new PythonClient(url, { timeouts: { headersMs: Number.POSITIVE_INFINITY } });
  expect(await client.generateText(REQUEST)).toEqual(RESPONSE);
});
