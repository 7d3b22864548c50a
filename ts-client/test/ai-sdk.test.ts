// The AI SDK itself, 7 with models of specification V4 and V3, and 6 with V3, over a server that speaks as the gateway does.

import { describe, expect, it } from "vitest";
import { createTorchbridge, createTorchbridgeV3 } from "../src/ai-sdk.js";
import { isApiError } from "../src/index.js";
import { CHUNKS, chunk, OPENING, startChat, TOOL_CHUNKS, USED, wholeStream } from "./chat.js";
import { deferred } from "./deferred.js";
import { closedUrl, sendJson, startServer } from "./local-server.js";
import { caught, collect, encodeEvents, PROBLEM } from "./wire.js";

/** What of the SDK these tests call. */
interface AiSdk {
  generateText(options: object): Promise<{
    text: string;
    finishReason: string;
    warnings?: object[];
    output: unknown;
    response: { id: string; modelId: string; timestamp: Date; headers?: Record<string, string> };
    providerMetadata?: object;
    steps: { finishReason: string; toolResults: { toolName: string; output: unknown }[] }[];
  }>;
  streamText(options: object): {
    textStream: AsyncIterable<string>;
    fullStream: AsyncIterable<{ type: string }>;
    finishReason: PromiseLike<string>;
    usage: PromiseLike<object>;
    response: PromiseLike<{ headers?: Record<string, string> }>;
    steps: PromiseLike<{ toolResults: { output: unknown }[] }[]>;
  };
  createProviderRegistry(providers: object): { languageModel(id: string): object };
  tool(definition: object): object;
  jsonSchema(schema: object): object;
  stepCountIs?(count: number): object;
  isStepCount?(count: number): object;
  Output: { object(options: object): object };
  APICallError: { isInstance(error: unknown): boolean };
  NoSuchModelError: { isInstance(error: unknown): boolean };
}

const MODULES = new URL("../../tests/openai_clients/node_modules/", import.meta.url);
const STREAM = wholeStream(CHUNKS);

describe.each([
  ["ai-6", "V3", createTorchbridgeV3],
  ["ai-7", "V3", createTorchbridgeV3],
  ["ai-7", "V4", createTorchbridge],
])("%s with models of %s", (version, _, create) => {
  const load = async (): Promise<AiSdk> => await import(new URL(`${version}/dist/index.js`, MODULES).href);
  const modelAt = (url: string): object => create({ baseUrl: url })("tiny");

  it("streams a text, with its usage and why it ended", async () => {
    const { streamText } = await load();
    const { url, asked } = await startChat(STREAM);
    const model = modelAt(url);
    const result = streamText({ model, prompt: "Hello", maxOutputTokens: 2, temperature: 0, stopSequences: ["."] });
    expect(await collect(result.textStream)).toEqual(["Once", " more"]);
    expect(await result.finishReason).toBe("length");
    expect(await result.usage).toMatchObject({ inputTokens: 3, outputTokens: 2 });
    expect(asked).toEqual([
      {
        model: "tiny",
        messages: [{ role: "user", content: "Hello" }],
        max_completion_tokens: 2,
        temperature: 0,
        stop: ["."],
        stream: true,
        stream_options: { include_usage: true },
      },
    ]);
  });

  it("generates a text from a conversation that another model began", async () => {
    const { generateText } = await load();
    const { url, asked } = await startChat(STREAM);
    const thought = { type: "reasoning", text: "A greeting." };
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: [thought, { type: "text", text: "Hi" }] },
      { role: "user", content: [{ type: "text", text: "Go on" }] },
    ];
    const result = await generateText({ model: modelAt(url), messages });
    expect([result.text, result.finishReason]).toEqual(["Once more", "length"]);
    expect(result.warnings).toMatchObject([{ type: "unsupported", feature: "reasoning in a message" }]);
    expect(asked).toMatchObject([{ messages: [{ content: "Hello" }, { content: "Hi" }, { content: "Go on" }] }]);
  });

  it("tells the ids and the headers of an answer", async () => {
    const { generateText, streamText } = await load();
    const { url } = await startChat(STREAM);
    const { response, providerMetadata } = await generateText({ model: modelAt(url), prompt: "Hello" });
    const timestamp = new Date(1_700_000_000_000);
    expect(response).toMatchObject({ id: "chatcmpl-1", modelId: "tiny@1.0", timestamp });
    expect(response.headers).toMatchObject({ "x-request-id": "4b1f" });
    expect(providerMetadata).toEqual({ torchbridge: { systemFingerprint: "fp_9f86d0" } });

    const streamed = streamText({ model: modelAt(url), prompt: "Hello" });
    await collect(streamed.textStream);
    expect(await streamed.response).toMatchObject({ id: "chatcmpl-1", headers: { "x-request-id": "4b1f" } });
  });

  it("asks as often as the SDK's maxRetries says, and never again where that cannot help", async () => {
    const { generateText } = await load();
    const ask = async (maxRetries: number, retryable: boolean): Promise<number> => {
      let requests = 0;
      const { url } = await startServer((_, response) => {
        requests += 1;
        sendJson(response, 503, { ...PROBLEM, retryable, retry_after: 0 });
      });
      expect(await caught(generateText({ model: modelAt(url), prompt: "Hello", maxRetries }))).toBeDefined();
      return requests;
    };
    expect([await ask(0, true), await ask(2, true), await ask(2, false)]).toEqual([1, 3, 1]);
  });

  it("fails with an error that is the gateway's and the SDK's own", async () => {
    const { generateText, APICallError } = await load();
    const { url } = await startServer((_, response) => sendJson(response, 422, { ...PROBLEM, status: 422 }));
    const error = await caught(generateText({ model: modelAt(url), prompt: "Hello", maxRetries: 0 }));
    expect([isApiError(error), APICallError.isInstance(error)]).toEqual([true, true]);
    expect(error).toMatchObject({
      name: "ApiError",
      code: "overloaded",
      statusCode: 422,
      isRetryable: true,
      url: `${url}/v1/chat/completions`,
      responseHeaders: { "retry-after": "1", "x-request-id": "4b1f" },
      data: { ...PROBLEM, status: 422 },
    });
  });

  it("says of a gateway that is not there that it may be there later", async () => {
    const { generateText, APICallError } = await load();
    const error = await caught(generateText({ model: modelAt(await closedUrl()), prompt: "Hello", maxRetries: 0 }));
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ name: "ConnectionError", isRetryable: true });
  });

  it("ends a stream that fails, with its text and the error", async () => {
    const { streamText, APICallError } = await load();
    const { url } = await startChat(encodeEvents([...CHUNKS.slice(0, 2), { ...PROBLEM, code: "worker_died" }]));
    const errors: unknown[] = [];
    const onError = ({ error }: { error: unknown }): void => void errors.push(error);
    const broken = streamText({ model: modelAt(url), prompt: "Hello", onError });
    const types = (await collect(broken.fullStream)).map(({ type }) => type);
    expect(types.slice(2)).toEqual(["text-start", "text-delta", "text-end", "error", "finish-step", "finish"]);
    expect(await broken.finishReason).toBe("error");
    expect(errors).toMatchObject([{ name: "ApiError", code: "worker_died" }]);
    expect(APICallError.isInstance(errors[0])).toBe(true);
  });

  it("takes no stream for whole that stops before its end", async () => {
    const { generateText } = await load();
    const { url } = await startChat(encodeEvents(CHUNKS));
    expect(await caught(generateText({ model: modelAt(url), prompt: "Hello", maxRetries: 0 }))).toMatchObject({
      name: "StreamTruncatedError",
      text: "Once more",
      isRetryable: true,
    });
  });

  it("cancels at the gateway what is aborted, which is no error", async () => {
    const { streamText } = await load();
    const left = deferred();
    const { url } = await startServer((_, response) => {
      response.on("close", left.resolve);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(encodeEvents(CHUNKS.slice(0, 2)));
    });
    const controller = new AbortController();
    const heard: string[] = [];
    const { textStream } = streamText({
      model: modelAt(url),
      prompt: "Hello",
      abortSignal: controller.signal,
      onAbort: () => heard.push("abort"),
      onError: () => heard.push("error"),
    });
    for await (const text of textStream) {
      expect(text).toBe("Once");
      controller.abort();
    }
    await left.promise;
    expect(heard).toEqual(["abort"]);
  });

  it("runs the tools that the model calls, and tells it what they gave", async () => {
    const sdk = await load();
    const { url, asked } = await startChat(wholeStream(TOOL_CHUNKS), STREAM, wholeStream(TOOL_CHUNKS), STREAM);
    const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const nothing = { type: "object", properties: {} };
    const weather = { description: "The sky", execute: ({ city }: { city: string }) => ({ sky: `clear in ${city}` }) };
    const call = {
      model: modelAt(url),
      prompt: "Which sky?",
      tools: {
        weather: sdk.tool({ ...weather, inputSchema: sdk.jsonSchema(city) }),
        clock: sdk.tool({ inputSchema: sdk.jsonSchema(nothing), execute: () => "noon" }),
      },
      stopWhen: (sdk.isStepCount ?? sdk.stepCountIs)?.(3),
    };
    const { steps, text } = await sdk.generateText(call);
    expect(text).toBe("Once more");
    expect(steps[0]?.finishReason).toBe("tool-calls");
    const outputs = [{ sky: "clear in Bonn" }, "noon"];
    expect(steps[0]?.toolResults.map(({ output }) => output)).toEqual(outputs);

    expect(asked[0]).toMatchObject({
      tools: [
        { type: "function", function: { name: "weather", description: "The sky", parameters: city } },
        { type: "function", function: { name: "clock" } },
      ],
      tool_choice: "auto",
    });
    const called = (id: string, name: string, args: string): object => {
      return { id, type: "function", function: { name, arguments: args } };
    };
    expect(asked[1]).toMatchObject({
      messages: [
        { role: "user", content: "Which sky?" },
        {
          role: "assistant",
          content: null,
          tool_calls: [called("call_1", "weather", '{"city":"Bonn"}'), called("call_2", "clock", "{}")],
        },
        { role: "tool", tool_call_id: "call_1", content: '{"sky":"clear in Bonn"}' },
        { role: "tool", tool_call_id: "call_2", content: "noon" },
      ],
    });

    const streamed = sdk.streamText(call);
    expect(await collect(streamed.textStream)).toEqual(["Once", " more"]);
    const [first] = await streamed.steps;
    expect(first?.toolResults.map(({ output }) => output)).toEqual(outputs);
  });

  it("gets an object of a schema", async () => {
    const { generateText, jsonSchema, Output } = await load();
    const json = [OPENING, chunk({ content: '{"name":' }), chunk({ content: '"Rex"}' }), chunk({}, "stop"), USED];
    const { url, asked } = await startChat(wholeStream(json));
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    const { output } = await generateText({
      model: modelAt(url),
      prompt: "A dog",
      output: Output.object({ schema: jsonSchema(schema), name: "dog" }),
    });
    expect(output).toEqual({ name: "Rex" });
    expect(asked).toMatchObject([
      { response_format: { type: "json_schema", json_schema: { name: "dog", strict: true, schema } } },
    ]);
  });

  it("is a provider of the SDK's registries, without models of other kinds", async () => {
    const { generateText, createProviderRegistry, NoSuchModelError } = await load();
    const { url } = await startChat(STREAM);
    const torchbridge = create({ baseUrl: url });
    const model = createProviderRegistry({ torchbridge }).languageModel("torchbridge:tiny");
    expect((await generateText({ model, prompt: "Hello" })).text).toBe("Once more");
    for (const kind of ["embeddingModel", "imageModel"] as const) {
      const error = await caught((async () => torchbridge[kind]("tiny"))());
      expect(NoSuchModelError.isInstance(error)).toBe(true);
    }
  });
});
