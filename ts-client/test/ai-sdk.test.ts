// The AI SDK itself, in both versions that take a model of specification V3, over a server that speaks as the gateway does.

import type { LanguageModelV3CallOptions as CallOptions, LanguageModelV3 } from "@ai-sdk/provider";
import { describe, expect, it } from "vitest";
import { createTorchbridge } from "../src/ai-sdk.js";
import { deferred } from "./deferred.js";
import { readBody, sendJson, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, encodeEvents, PROBLEM } from "./wire.js";

/** What of the SDK these tests call. */
interface AiSdk {
  generateText(options: object): Promise<{ text: string; finishReason: string; usage: object; warnings?: object[] }>;
  streamText(options: object): {
    textStream: AsyncIterable<string>;
    finishReason: PromiseLike<string>;
    usage: PromiseLike<object>;
  };
}

const MODULES = new URL("../../tests/openai_clients/node_modules/", import.meta.url);
const HEAD = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "tiny@1.0" };
const CHUNKS = [
  { ...HEAD, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }], usage: null },
  { ...HEAD, choices: [{ index: 0, delta: { content: "Once" }, finish_reason: null }], usage: null },
  { ...HEAD, choices: [{ index: 0, delta: { content: " more" }, finish_reason: null }], usage: null },
  { ...HEAD, choices: [{ index: 0, delta: {}, finish_reason: "length" }], usage: null },
  { ...HEAD, choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
];
const STREAM = `${encodeEvents(CHUNKS)}data: [DONE]\n\n`;

const CALL = { prompt: [{ role: "user", content: [{ type: "text", text: "Hello" }] }] } satisfies CallOptions;

async function startGateway(answer: string = STREAM): Promise<{ model: LanguageModelV3; asked: unknown[] }> {
  const asked: unknown[] = [];
  const { url } = await startServer(async (request, response) => {
    asked.push([request.url, JSON.parse(await readBody(request))]);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(answer);
  });
  return { model: createTorchbridge({ baseUrl: url })("tiny"), asked };
}

describe.each(["ai-6", "ai-7"])("%s", (version) => {
  const load = async (): Promise<AiSdk> => await import(new URL(`${version}/dist/index.js`, MODULES).href);

  it("streams a text, with its usage and why it ended", async () => {
    const { streamText } = await load();
    const { model, asked } = await startGateway();
    const result = streamText({ model, prompt: "Hello", maxOutputTokens: 2, temperature: 0, stopSequences: ["."] });
    expect(await collect(result.textStream)).toEqual(["Once", " more"]);
    expect(await result.finishReason).toBe("length");
    expect(await result.usage).toMatchObject({ inputTokens: 3, outputTokens: 2 });
    expect(asked).toEqual([
      [
        "/v1/chat/completions",
        {
          model: "tiny",
          messages: [{ role: "user", content: "Hello" }],
          max_completion_tokens: 2,
          temperature: 0,
          stop: ["."],
          stream: true,
          stream_options: { include_usage: true },
        },
      ],
    ]);
  });

  it("generates a text from a conversation", async () => {
    const { generateText } = await load();
    const { model, asked } = await startGateway();
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi" },
      { role: "user", content: [{ type: "text", text: "Go on" }] },
    ];
    const result = await generateText({ model, messages });
    expect([result.text, result.finishReason]).toEqual(["Once more", "length"]);
    expect(asked).toMatchObject([
      ["/v1/chat/completions", { messages: [{ content: "Hello" }, { content: "Hi" }, { content: "Go on" }] }],
    ]);
  });

  it("fails with the gateway's own error, from the start and in mid-stream", async () => {
    const { generateText, streamText } = await load();
    const { url } = await startServer((_, response) => sendJson(response, 422, { ...PROBLEM, retryable: false }));
    const refused = generateText({
      model: createTorchbridge({ baseUrl: url })("tiny"),
      prompt: "Hello",
      maxRetries: 0,
    });
    expect(await caught(refused)).toMatchObject({ name: "ApiError", code: "overloaded" });

    const { model } = await startGateway(encodeEvents([...CHUNKS.slice(0, 2), { ...PROBLEM, code: "worker_died" }]));
    const errors: unknown[] = [];
    const broken = streamText({
      model,
      prompt: "Hello",
      onError: ({ error }: { error: unknown }) => errors.push(error),
    });
    expect(await collect(broken.textStream)).toEqual(["Once"]);
    expect(errors).toMatchObject([{ name: "ApiError", code: "worker_died" }]);
  });

  it("takes no stream for whole that stops before its end", async () => {
    const { generateText } = await load();
    const { model } = await startGateway(encodeEvents(CHUNKS));
    expect(await caught(generateText({ model, prompt: "Hello", maxRetries: 0 }))).toMatchObject({
      name: "StreamTruncatedError",
      text: "Once more",
    });
  });

  it("cancels at the gateway what is aborted", async () => {
    const { streamText } = await load();
    const left = deferred();
    const { url } = await startServer((_, response) => {
      response.on("close", left.resolve);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(encodeEvents(CHUNKS.slice(0, 2)));
    });
    const controller = new AbortController();
    const model = createTorchbridge({ baseUrl: url })("tiny");
    for await (const text of streamText({ model, prompt: "Hello", abortSignal: controller.signal }).textStream) {
      expect(text).toBe("Once");
      controller.abort();
    }
    await left.promise;
  });

  it("says what the model does not do", async () => {
    const { generateText } = await load();
    const { model } = await startGateway();
    const { warnings } = await generateText({ model, prompt: "Hello", presencePenalty: 1 });
    expect(warnings).toEqual([{ type: "unsupported", feature: "presencePenalty" }]);
  });
});

it("reads no pictures, and says so before anything is sent", async () => {
  const { model, asked } = await startGateway();
  const picture = { type: "file", mediaType: "image/png", data: new Uint8Array() } as const;
  await expect(model.doStream({ prompt: [{ role: "user", content: [picture] }] })).rejects.toThrow("reads text only");
  expect(asked).toEqual([]);
});

it.each([
  ["firstTokenMs", { firstTokenMs: 100, idleMs: 60_000 }, CHUNKS.slice(0, 1)],
  ["idleMs", { firstTokenMs: 60_000, idleMs: 100 }, CHUNKS.slice(0, 2)],
] as const)("a stream that goes silent ends by %s", async (timeout, timeouts, chunks) => {
  const { url, disconnected } = await startEndlessStream(chunks);
  const { stream } = await createTorchbridge({ baseUrl: url, timeouts })("tiny").doStream(CALL);
  const parts = await collect(stream);
  expect(parts.at(-1)).toMatchObject({ type: "error", error: { name: "TimeoutError", timeout } });
  await disconnected;
});

it("yields nothing more of what has come once the call is aborted", async () => {
  const { model } = await startGateway();
  const controller = new AbortController();
  const { stream } = await model.doStream({ ...CALL, abortSignal: controller.signal });
  const types: string[] = [];
  for await (const part of stream) {
    types.push(part.type);
    if (part.type === "text-delta") controller.abort();
  }
  // The stream reads one part ahead of its reader.
  expect(types.slice(0, 4)).toEqual(["stream-start", "response-metadata", "text-start", "text-delta"]);
  expect(types.slice(4)).not.toContain("finish");
  expect(types.at(-1)).toBe("error");
});
