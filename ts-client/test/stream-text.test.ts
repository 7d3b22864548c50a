import { getEventListeners } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, expect, expectTypeOf, it, vi } from "vitest";
import {
  ApiError,
  type DeltaEvent,
  type DoneEvent,
  PythonClient,
  type StartEvent,
  StreamTruncatedError,
} from "../src/index.js";
import { deferred } from "./deferred.js";
import { readBody, sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import {
  caught,
  collect,
  DELTAS,
  DONE,
  ERROR,
  encodeEvents,
  PROBLEM,
  REQUEST,
  RESPONSE,
  START,
  WHOLE_STREAM,
} from "./wire.js";

afterEach(() => void vi.useRealTimers());

it("yields the events of a stream, typed, and returns after done", async () => {
  const seen: string[] = [];
  const server = await startServer(async (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.accept} ${await readBody(request)}`);
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const events = await collect(new PythonClient(server.url).streamText(REQUEST));
  expect(events).toEqual(WHOLE_STREAM);
  expect(seen).toEqual(['POST /generate/stream text/event-stream {"prompt":"Hello"}']);
  expectTypeOf(events).toEqualTypeOf<(StartEvent | DeltaEvent | DoneEvent)[]>();
});

it("yields each event as soon as it is here", async () => {
  const received = deferred();
  const server = await startServer(async (_, response) => {
    startEventStream(response, [START]);
    await received.promise;
    response.end(encodeEvents([...DELTAS, DONE]));
  });
  const types: string[] = [];
  for await (const event of new PythonClient(server.url).streamText(REQUEST)) {
    types.push(event.type);
    received.resolve();
  }
  expect(types).toEqual(["start", "delta", "delta", "done"]);
});

it("throws the problem of an answer that is a failure from the start", async () => {
  const server = await startServer((_, response) => sendJson(response, 503, PROBLEM, "application/problem+json"));
  const error = await caught(collect(new PythonClient(server.url, { maxRetries: 0 }).streamText(REQUEST)));
  expect(error).toMatchObject({ name: "ApiError", problem: PROBLEM });
});

it("throws the problem of an error event after the events before it", async () => {
  const server = await startServer((_, response) => {
    startEventStream(response, [START, ...DELTAS, ERROR]);
    response.end();
  });
  const events: unknown[] = [];
  const error = await caught(
    (async () => {
      for await (const event of new PythonClient(server.url).streamText(REQUEST)) events.push(event);
    })(),
  );
  expect(error).toMatchObject({ name: "ApiError", code: "overloaded", status: 503, problem: PROBLEM });
  expect(events).toEqual([START, ...DELTAS]);
});

it.each([
  ["ends", (response: ServerResponse) => response.end()],
  ["breaks", (response: ServerResponse) => response.destroy()],
])("throws a StreamTruncatedError with the text so far when the stream %s before done", async (_, stop) => {
  const received = deferred();
  const server = await startServer(async (_request, response) => {
    startEventStream(response, [START, ...DELTAS]);
    await received.promise;
    stop(response);
  });
  const events = new PythonClient(server.url).streamText(REQUEST);
  const error = await caught(
    (async () => {
      for await (const event of events) if (event.type === "delta" && event.index === 1) received.resolve();
    })(),
  );
  expect(error).toBeInstanceOf(StreamTruncatedError);
  expect(error).toHaveProperty("text", RESPONSE.text);
});

it("disconnects from the server when the loop is left early", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  const { signal } = new AbortController();
  for await (const event of new PythonClient(url).streamText(REQUEST, { signal })) {
    if (event.type === "delta") break;
  }
  await disconnected;
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("disconnects from the server when the loop throws", async () => {
  const { url, disconnected } = await startEndlessStream([START]);
  const failure = new Error("the page is gone");
  const error = await caught(
    (async () => {
      for await (const _ of new PythonClient(url).streamText(REQUEST)) throw failure;
    })(),
  );
  expect(error).toBe(failure);
  await disconnected;
});

it.each([
  ["the next event", [START]],
  ["the head of an answer", undefined],
])("disconnects at once when it is left while %s is awaited", async (_, events) => {
  const [asked, left] = [deferred(), deferred()];
  let requests = 0;
  const { url } = await startServer((_request, response) => {
    requests += 1;
    response.on("close", left.resolve);
    if (events !== undefined) startEventStream(response, events);
    asked.resolve();
  });
  const stream = new PythonClient(url).streamText(REQUEST);
  if (events !== undefined) await stream.next();
  const next = stream.next();
  await asked.promise;
  expect(await stream.return()).toEqual({ done: true, value: undefined });
  expect(await next).toEqual({ done: true, value: undefined });
  await left.promise;
  expect(requests).toBe(1);
});

it("sends nothing before its first event is asked for", async () => {
  const server = await startServer((_, response) => response.end());
  await new PythonClient(server.url).streamText(REQUEST).return();
  expect(server.connections).toBe(0);
});

it.each([
  ["is read to its end", async (events: AsyncIterable<unknown>) => expect(await collect(events)).toEqual(WHOLE_STREAM)],
  [
    "is left at its done",
    async (events: AsyncIterable<{ type: string }>) => {
      for await (const { type } of events) if (type === "done") break;
    },
  ],
])("a stream that %s waits for no server that does not end its answer", async (_, read) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }); // time stands still: no wait has an end
  const { url, disconnected } = await startEndlessStream(WHOLE_STREAM);
  const { signal } = new AbortController();
  await read(new PythonClient(url).streamText(REQUEST, { signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
  vi.advanceTimersByTime(1_000);
  await disconnected;
});

it("leaves the connection to the next request when the server ends its answer after done", async () => {
  let endAnswer = (): void => undefined;
  const server = await startServer((_, response) => {
    endAnswer = () => response.end();
    startEventStream(response, WHOLE_STREAM);
  });
  for (let stream = 0; stream < 10; stream += 1) {
    for await (const event of new PythonClient(server.url).streamText(REQUEST)) if (event.type === "done") endAnswer();
  }
  expect(server.connections).toBeLessThan(5);
});

it("leaves the connection to the next request also where its stream is left at its done", async () => {
  const server = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  for (let stream = 0; stream < 10; stream += 1) {
    for await (const event of new PythonClient(server.url).streamText(REQUEST)) if (event.type === "done") break;
  }
  expect(server.connections).toBeLessThan(5);
});

it("disconnects from a server whose answer is not an event stream", async () => {
  const disconnected = deferred();
  const server = await startServer((_, response) => {
    response.on("close", disconnected.resolve);
    response.writeHead(200, { "content-type": "text/html" });
    response.write("<html>");
  });
  await expect(collect(new PythonClient(server.url).streamText(REQUEST))).rejects.toBeInstanceOf(ApiError);
  await disconnected.promise;
});
