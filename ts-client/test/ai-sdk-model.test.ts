// What a model makes of one call of the AI SDK, and of one answer of the gateway.

import { expect, it } from "vitest";
import type { ModelCall, StreamPart } from "../src/ai-sdk/specification.js";
import { createTorchbridge } from "../src/ai-sdk.js";
import { CHUNKS, chunk, OPENING, startChat, TOOL_CHUNKS, wholeStream } from "./chat.js";
import { deferred } from "./deferred.js";
import { readBody, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, encodeEvents } from "./wire.js";

const STREAM = wholeStream(CHUNKS);
const USER = { role: "user", content: [{ type: "text", text: "Hello" }] } as const;
const CALL: ModelCall = { prompt: [USER] };

const modelAt = (baseUrl: string) => createTorchbridge({ baseUrl })("tiny");

async function partsOf(answer: string, call: ModelCall = CALL): Promise<StreamPart[]> {
  const { url } = await startChat(answer);
  const { stream } = await modelAt(url).doStream(call);
  return await collect(stream);
}

/** What a call asks of the gateway, and of what it warns. */
async function asked(call: Partial<ModelCall>): Promise<{ body: Record<string, unknown>; features: string[] }> {
  const chat = await startChat(STREAM);
  const { warnings } = await modelAt(chat.url).doGenerate({ ...CALL, ...call });
  const [body = {}] = chat.asked;
  return { body, features: warnings.map(({ feature }) => feature) };
}

it("sends every setting that the gateway knows, and warns of none", async () => {
  const { body, features } = await asked({
    maxOutputTokens: 8,
    temperature: 0.5,
    topP: 0.9,
    topK: 20,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    stopSequences: [],
    seed: 7,
    responseFormat: { type: "json" },
    reasoning: "provider-default",
  });
  expect(body).toEqual({
    model: "tiny",
    messages: [{ role: "user", content: "Hello" }],
    stream: true,
    stream_options: { include_usage: true },
    max_completion_tokens: 8,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 20,
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    seed: 7,
    response_format: { type: "json_object" },
  });
  expect(features).toEqual([]);
});

it("sends its own provider options, in the gateway's spelling and in JavaScript's", async () => {
  const torchbridge = { user: "ada", repetition_penalty: 1.1, minP: 0.05, logitBias: { "42": -1 }, temperature: 1 };
  const { body, features } = await asked({ temperature: 0, providerOptions: { torchbridge } });
  expect(body).toMatchObject({
    user: "ada",
    repetition_penalty: 1.1,
    min_p: 0.05,
    logit_bias: { "42": -1 },
    temperature: 1,
  });
  expect(features).toEqual([]);
});

it("warns of the provider options that it cannot let through", async () => {
  const { body, features } = await asked({ providerOptions: { torchbridge: { model: "other", n: 2, stream: false } } });
  expect(body).toMatchObject({ model: "tiny", stream: true });
  expect(body).not.toHaveProperty("n");
  expect(features).toEqual(["model", "n", "stream"].map((key) => `providerOptions.torchbridge.${key}`));
});

it("sends the tools and which of them to call", async () => {
  const inputSchema = { type: "object", properties: {} };
  const tools = [{ type: "function", name: "clock", inputSchema, strict: true }] as const;
  const { body } = await asked({ tools, toolChoice: { type: "tool", toolName: "clock" } });
  expect(body).toMatchObject({
    tools: [{ type: "function", function: { name: "clock", parameters: inputSchema, strict: true } }],
    tool_choice: { type: "function", function: { name: "clock" } },
  });
  expect((await asked({ tools, toolChoice: { type: "required" } })).body).toMatchObject({ tool_choice: "required" });
  expect((await asked({ tools: [], toolChoice: { type: "auto" } })).body).not.toHaveProperty("tool_choice");
});

it("warns once of each thing that the answer will be without", async () => {
  const content = [
    { type: "reasoning" },
    { type: "reasoning" },
    { type: "text", text: "Hi" },
    { type: "tool-call", toolCallId: "1", toolName: "search", input: {}, providerExecuted: true },
    { type: "tool-result", toolCallId: "1", output: { type: "text", value: "found" } },
  ] as const;
  const { body, features } = await asked({
    prompt: [USER, { role: "assistant", content }, USER],
    tools: [
      { type: "provider", id: "other.search" },
      { type: "function", name: "clock", inputSchema: {}, inputExamples: [{ input: {} }] },
    ],
    reasoning: "high",
  });
  const tools = [{ type: "function", function: { name: "clock", parameters: {} } }];
  expect(body).toMatchObject({ messages: [{}, { role: "assistant", content: "Hi" }, {}], tools });
  expect(features).toEqual([
    "reasoning in a message",
    "tool-call in a message",
    "tool-result in a message",
    "reasoning",
    "tool other.search of another provider",
    "inputExamples of a tool",
  ]);
});

it("tells the model what a tool gave, in each form that it may have", async () => {
  const outputs = [
    { type: "text", value: "noon" },
    { type: "error-text", value: "no clock" },
    { type: "json", value: { hour: 12 } },
    { type: "error-json", value: ["no clock"] },
    { type: "execution-denied", reason: "not now" },
    {
      type: "content",
      value: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    },
  ] as const;
  const content = outputs.map((output, index) => ({ type: "tool-result" as const, toolCallId: `${index}`, output }));
  const { body } = await asked({
    prompt: [{ role: "tool", content: [{ type: "tool-approval-response" }, ...content] }],
  });
  const texts = ["noon", "no clock", '{"hour":12}', '["no clock"]', "not now", "a\nb"];
  const messages = texts.map((text, index) => ({ role: "tool", tool_call_id: `${index}`, content: text }));
  expect(body).toMatchObject({ messages });
});

it.each([
  ["what the model wrote that is no JSON", '{"city', '"{\\"city"'],
  ["JSON as a text", '{"city":"Bonn"}', '{"city":"Bonn"}'],
  ["nothing", undefined, "{}"],
])("sends the input of an earlier tool call as JSON: %s", async (_, input, json) => {
  const call = { type: "tool-call", toolCallId: "1", toolName: "weather", input } as const;
  const { body } = await asked({ prompt: [USER, { role: "assistant", content: [call] }] });
  expect(body).toMatchObject({ messages: [{}, { tool_calls: [{ function: { arguments: json } }] }] });
});

it.each([
  ["text of version 4", { type: "text", text: "Grüße" }],
  ["bytes of version 4", { type: "data", data: new TextEncoder().encode("Grüße") }],
  ["base64 of version 4", { type: "data", data: "R3LDvMOfZQ==" }],
  ["bytes of version 3", new TextEncoder().encode("Grüße")],
  ["base64 of version 3", "R3LDvMOfZQ=="],
])("reads a document: %s", async (_, data) => {
  const document = { type: "file", mediaType: "text/plain", data } as const;
  const { body } = await asked({ prompt: [{ role: "user", content: [{ type: "text", text: "Say:" }, document] }] });
  const content = ["Say:", "Grüße"].map((text) => ({ type: "text", text }));
  expect(body).toMatchObject({ messages: [{ role: "user", content }] });
});

it("reads no pictures, and says so before anything is sent", async () => {
  const chat = await startChat(STREAM);
  const picture = { type: "file", mediaType: "image/png", data: new Uint8Array() } as const;
  const error = await caught(modelAt(chat.url).doStream({ prompt: [{ role: "user", content: [picture] }] }));
  expect(error).toMatchObject({ name: "AI_UnsupportedFunctionalityError", functionality: "files of type image/png" });
  expect(chat.asked).toEqual([]);
});

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
