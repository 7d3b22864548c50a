// What a model makes of one call of the AI SDK.

import { expect, it } from "vitest";
import type { ModelCall } from "../src/ai-sdk/specification.js";
import { CALL, modelAt, STREAM, USER } from "./called-model.js";
import { startChat } from "./chat.js";
import { caught } from "./wire.js";

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
