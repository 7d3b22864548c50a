// What a model makes of one answer of the gateway.

import { expect, it } from "vitest";
import { createTorchbridge } from "../src/ai-sdk.js";
import { CALL, modelAt, partsOf, STREAM } from "./called-model.js";
import { CHUNKS, chunk, OPENING, startChat, TOOL_CHUNKS, wholeStream } from "./chat.js";
import { deferred } from "./deferred.js";
import { readBody, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, encodeEvents } from "./wire.js";

it("reads two tool calls whose pieces come one between the other", async () => {
  const [opening, head, , , otherHead, , finish] = TOOL_CHUNKS;
  const piece = (index: number, args: string) => chunk({ tool_calls: [{ index, function: { arguments: args } }] });
  const pieces = [head, otherHead, piece(0, '{"city":'), piece(1, "{}"), piece(0, '"Bonn"}')];
  const parts = await partsOf(wholeStream([opening, ...pieces, finish].map((each) => each ?? {})));
  expect(parts.slice(2, -1)).toEqual([
    { type: "tool-input-start", id: "call_1", toolName: "weather" },
    { type: "tool-input-start", id: "call_2", toolName: "clock" },
    { type: "tool-input-delta", id: "call_1", delta: '{"city":' },
    { type: "tool-input-delta", id: "call_2", delta: "{}" },
    { type: "tool-input-delta", id: "call_1", delta: '"Bonn"}' },
    { type: "tool-input-end", id: "call_1" },
    { type: "tool-call", toolCallId: "call_1", toolName: "weather", input: '{"city":"Bonn"}' },
    { type: "tool-input-end", id: "call_2" },
    { type: "tool-call", toolCallId: "call_2", toolName: "clock", input: "{}" },
  ]);
  expect(parts.at(-1)).toMatchObject({ finishReason: { unified: "tool-calls", raw: "tool_calls" } });
});

it("calls no tool whose call is not whole", async () => {
  const types = (await partsOf(encodeEvents(TOOL_CHUNKS.slice(0, 3)))).map(({ type }) => type);
  expect(types.slice(2)).toEqual(["tool-input-start", "tool-input-delta", "error", "finish"]);
});

it("tells the log-probabilities that it was asked for", async () => {
  const told = [{ token: "Once", logprob: -0.5, bytes: [79], top_logprobs: [] }];
  const withLogprobs = {
    ...chunk({}),
    choices: [{ index: 0, delta: { content: "Once" }, logprobs: { content: told } }],
  };
  const parts = await partsOf(wholeStream([withLogprobs, chunk({}, "stop")]));
  expect(parts.at(-1)).toMatchObject({ providerMetadata: { torchbridge: { logprobs: told } } });
});

it("hands on what came, where it is asked for that", async () => {
  const parts = await partsOf(STREAM, { ...CALL, includeRawChunks: true });
  expect(parts.flatMap((part) => (part.type === "raw" ? [part.rawValue] : []))).toEqual(CHUNKS);
});

it.each([
  ["[DONE] alone", wholeStream([])],
  ["a page", "<html>"],
  ["a tool call of nobody", wholeStream([chunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] })])],
])("takes no answer that is not the gateway's: %s", async (_, answer) => {
  const { url } = await startServer((__, response) => {
    response.writeHead(200, { "content-type": answer === "<html>" ? "text/html" : "text/event-stream" });
    response.end(answer);
  });
  expect(await caught(modelAt(url).doStream(CALL))).toMatchObject({ name: "ApiError", code: "upstream_protocol" });
});

it("ends a text of which nothing says why it ended", async () => {
  const types = (await partsOf(wholeStream(CHUNKS.slice(0, 2)))).map(({ type }) => type);
  expect(types.slice(2)).toEqual(["text-start", "text-delta", "text-end", "error", "finish"]);
});

it("starts no text where there is none", async () => {
  const types = (await partsOf(wholeStream([OPENING, chunk({}, "stop")]))).map(({ type }) => type);
  expect(types).toEqual(["stream-start", "response-metadata", "finish"]);
});

it("leaves its connection to the next request when the server ends its answer after [DONE]", async () => {
  let endAnswer = (): void => undefined;
  const server = await startServer(async (request, response) => {
    await readBody(request);
    endAnswer = () => response.end();
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(STREAM);
  });
  for (let number = 0; number < 10; number += 1) {
    const { stream } = await modelAt(server.url).doStream(CALL);
    for await (const part of stream) if (part.type === "finish") endAnswer();
    await modelAt(server.url).doGenerate(CALL);
    endAnswer();
  }
  expect(server.connections).toBeLessThan(5);
});

it("has the whole answer before its connection has ended", async () => {
  const ended = deferred();
  const { url } = await startServer(async (request, response) => {
    await readBody(request);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(STREAM);
    await ended.promise;
    response.end();
  });
  const { stream } = await modelAt(url).doStream(CALL);
  expect((await collect(stream)).at(-1)).toMatchObject({ type: "finish" });
  expect((await modelAt(url).doGenerate(CALL)).content).toEqual([{ type: "text", text: "Once more" }]);
  ended.resolve();
});

it("cancels at the gateway what its reader leaves, though the next text is not here", async () => {
  const { url, disconnected } = await startEndlessStream(CHUNKS.slice(0, 2));
  const { stream } = await modelAt(url).doStream(CALL);
  const reader = stream.getReader();
  const read: string[] = [];
  while (read.at(-1) !== "text-delta") read.push((await reader.read()).value?.type ?? "");
  const next = reader.read();
  await new Promise(setImmediate); // the stream waits for the gateway now
  await reader.cancel();
  expect(await next).toEqual({ done: true, value: undefined });
  await disconnected;
});

it.each([
  ["firstTokenMs", { firstTokenMs: 100, idleMs: 60_000 }, CHUNKS.slice(0, 1)],
  ["idleMs", { firstTokenMs: 60_000, idleMs: 100 }, CHUNKS.slice(0, 2)],
] as const)("a stream that goes silent ends by %s", async (timeout, timeouts, chunks) => {
  const { url, disconnected } = await startEndlessStream(chunks);
  const { stream } = await createTorchbridge({ baseUrl: url, timeouts })("tiny").doStream(CALL);
  const parts = await collect(stream);
  const error = { name: "TimeoutError", timeout, isRetryable: false };
  expect(parts.slice(-2)).toMatchObject([{ type: "error", error }, { type: "finish" }]);
  await disconnected;
});

it("yields nothing more of what has come once the call is aborted", async () => {
  const { url } = await startChat(STREAM);
  const controller = new AbortController();
  const { stream } = await modelAt(url).doStream({ ...CALL, abortSignal: controller.signal });
  const types: string[] = [];
  const reason = new Error("enough");
  const reading = (async () => {
    for await (const part of stream) {
      types.push(part.type);
      if (part.type === "text-delta") controller.abort(reason);
    }
  })();
  expect(await caught(reading)).toBe(reason);
  expect(types).not.toContain("finish");
});

it("keeps what a user said out of a log of an error", async () => {
  const { url } = await startServer((_, response) => response.writeHead(500).end());
  const error = await caught(modelAt(url).doGenerate(CALL));
  expect(error).toMatchObject({ statusCode: 500 });
  expect(error).toHaveProperty("requestBodyValues.messages");
  expect(Object.keys(error as object)).not.toContain("requestBodyValues");
});
