import { expect, it } from "vitest";
import { z } from "zod";
import {
  type ChatEvent,
  chat,
  isInvalidObjectError,
  isInvalidToolCallError,
  isObjectTruncatedError,
  streamChat,
} from "../src/chat.js";
import { isStreamTruncatedError, PythonClient, responseHead } from "../src/index.js";
import { CHUNKS, chunk, OPENING, startChat, TOOL_CHUNKS, USED, wholeStream } from "./chat.js";
import { deferred } from "./deferred.js";
import { sendJson, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, encodeEvents, PROBLEM } from "./wire.js";

const messages = [{ role: "user", content: "Is it warm in Bonn?" }] as const;
const weather = { description: "Of a city", parameters: z.object({ city: z.string().transform((c) => [c]) }) };
const clock = { parameters: { type: "object", properties: {} } };
const tools = { weather, clock };

async function answering(chunks: readonly object[]) {
  const { url, asked } = await startChat(wholeStream(chunks));
  return { client: new PythonClient(url, { maxRetries: 0 }), asked };
}

/** An answer of this text. */
const saying = (text: string, finishReason: string): object[] => [
  OPENING,
  chunk({ content: text }),
  chunk({}, finishReason),
  USED,
];

/** An answer of one call of a tool. */
const calling = (name: string, written: string, finishReason = "tool_calls"): object[] => [
  chunk({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name, arguments: written } }] }),
  chunk({}, finishReason),
];

it("gives the answer, its tokens, and which model it is of", async () => {
  const { client, asked } = await answering(CHUNKS);
  const answer = await chat(client, { messages, model: "tiny", max_tokens: 2, temperature: 0 });
  expect(answer).toEqual({
    id: "chatcmpl-1",
    model: "tiny@1.0",
    text: "Once more",
    object: undefined,
    toolCalls: [],
    finishReason: "length",
    usage: { promptTokens: 3, completionTokens: 2 },
    message: { role: "assistant", content: "Once more" },
  });
  expect(responseHead(answer)?.requestId).toBe("4b1f");
  const settings = { model: "tiny", max_tokens: 2, temperature: 0 };
  expect(asked).toEqual([{ messages, ...settings, stream: true, stream_options: { include_usage: true } }]);
});

it("yields each text and each whole call as it comes", async () => {
  const { client, asked } = await answering([...CHUNKS.slice(0, 3), ...TOOL_CHUNKS]);
  const events = await collect(streamChat(client, { messages, tools, tool_choice: "required" }));
  const calls = [
    { id: "call_1", name: "weather", arguments: { city: ["Bonn"] } },
    { id: "call_2", name: "clock", arguments: {} },
  ];
  expect(events).toMatchObject([
    { type: "start", id: "chatcmpl-1", model: "tiny@1.0" },
    { type: "delta", text: "Once" },
    { type: "delta", text: " more" },
    { type: "tool_call", call: calls[0] },
    { type: "tool_call", call: calls[1] },
    { type: "done", answer: { text: "Once more", toolCalls: calls, finishReason: "tool_calls" } },
  ]);
  expect([events[0], events.at(-1)].map((event) => event && responseHead(event)?.requestId)).toEqual(["4b1f", "4b1f"]);
  expect(asked).toMatchObject([
    {
      tool_choice: "required",
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            description: "Of a city",
            parameters: { properties: { city: { type: "string" } } },
          },
        },
        { type: "function", function: { name: "clock", parameters: clock.parameters } },
      ],
    },
  ]);
});

it("yields a call when the next one begins, and not with the end of the answer", async () => {
  const { url } = await startEndlessStream(TOOL_CHUNKS.slice(0, -3));
  for await (const event of streamChat(new PythonClient(url), { messages, tools })) {
    if (event.type !== "tool_call") continue;
    expect(event.call.name).toBe("weather");
    break;
  }
});

it("gives the message that the next request goes on from", async () => {
  const { url, asked } = await startChat(wholeStream(TOOL_CHUNKS), wholeStream(CHUNKS));
  const client = new PythonClient(url);
  const { message } = await chat(client, { messages, tools });
  await chat(client, { messages: [...messages, message, { role: "tool", tool_call_id: "call_1", content: "Yes" }] });
  const [, { messages: sent } = {}] = asked;
  expect(sent).toEqual([
    ...messages,
    {
      role: "assistant",
      content: null,
      tool_calls: [
        { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Bonn"}' } },
        { id: "call_2", type: "function", function: { name: "clock", arguments: "{}" } },
      ],
    },
    { role: "tool", tool_call_id: "call_1", content: "Yes" },
  ]);
});

it.each([
  ["weather", '{"city":"Bo', "length", "The answer ended by length before its JSON did"],
  ["weather", '{"city":1}', "tool_calls", "The answer is not valid: Invalid input: expected string, received number"],
  ["constructor", "{}", "tool_calls", "The answer is not valid: there is no such tool"],
])("gives nobody a call of %s with %s", async (name, written, finishReason, reason) => {
  const { client } = await answering(calling(name, written, finishReason));
  const seen: unknown[] = [];
  const error = await caught(
    (async () => {
      for await (const event of streamChat(client, { messages, tools })) seen.push(event.type);
    })(),
  );
  expect(isInvalidToolCallError(error) && error).toMatchObject({
    message: `A call of ${name} cannot be run: ${reason}`,
    tool: name,
    callId: "call_1",
    text: written,
    assistantMessage: {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "call_1", type: "function", function: { name, arguments: written } }],
    },
    cause: { message: reason },
  });
  expect(seen).toEqual(["start"]);
  expect(responseHead(error as Error)?.requestId).toBe("4b1f");
});

it("reads the object that it asked for", async () => {
  const { client, asked } = await answering(saying('{"age":"12"}', "stop"));
  const output = z.object({ age: z.string().transform(Number) });
  const { object } = await chat(client, { messages, output });
  expect(object.age).toBe(12);
  const schema = { properties: { age: { type: "string" } }, additionalProperties: false };
  expect(asked).toMatchObject([{ response_format: { type: "json_schema", json_schema: { schema, strict: true } } }]);
});

it("has calls in the place of an object", async () => {
  const { client } = await answering(TOOL_CHUNKS);
  const { object, toolCalls } = await chat(client, { messages, tools, output: z.string() });
  expect([object, toolCalls.length]).toEqual([undefined, 2]);
});

it.each([
  { finishReason: "length", cut: "length" },
  { finishReason: "stop", stop: ["e"], cut: "stop_sequence" },
])("says that an answer ended within its object, by $cut", async ({ finishReason, cut, ...settings }) => {
  const { client } = await answering(saying('{"ag', finishReason));
  const error = await caught(chat(client, { messages, output: clock.parameters, ...settings }));
  expect(isObjectTruncatedError(error) && [error.text, error.finishReason]).toEqual(['{"ag', cut]);
});

it("says what a schema has against an object", async () => {
  const { client } = await answering(saying('"no"', "stop"));
  const output = z.string().refine((text) => text === "yes", "is not yes");
  const error = await caught(chat(client, { messages, output }));
  expect(isInvalidObjectError(error) && error.issues).toMatchObject([{ message: "is not yes" }]);
});

it("throws what the gateway answers, also in the stream, and that a stream is not whole", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 503, PROBLEM));
  expect(await caught(chat(new PythonClient(url, { maxRetries: 0 }), { messages }))).toMatchObject({
    code: "overloaded",
  });
  const failed = await startChat(encodeEvents([OPENING, PROBLEM]));
  expect(await caught(chat(new PythonClient(failed.url), { messages }))).toMatchObject({ code: "overloaded" });
  const cut = await startChat(encodeEvents(CHUNKS.slice(0, 2)));
  const error = await caught(chat(new PythonClient(cut.url), { messages }));
  expect(isStreamTruncatedError(error) && error.text).toBe("Once");
});

it("tries again what failed before there was an answer", async () => {
  let attempts = 0;
  const { url } = await startServer((_, response) => {
    attempts += 1;
    if (attempts === 1) return sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(wholeStream(CHUNKS));
  });
  expect((await chat(new PythonClient(url), { messages })).text).toBe("Once more");
});

it("ends by a timeout of the call", async () => {
  const { url, disconnected } = await startEndlessStream([OPENING]);
  const error = await caught(chat(new PythonClient(url), { messages }, { timeout: { idleMs: 20 } }));
  expect(error).toMatchObject({ name: "TimeoutError", timeout: "idleMs" });
  await disconnected;
});

it("throws the reason of an abort, before and in the stream, and cancels the request", async () => {
  const reason = new Error("enough");
  const early = chat(
    new PythonClient({ fetch: () => expect.unreachable() }),
    { messages },
    { signal: AbortSignal.abort(reason) },
  );
  expect(await caught(early)).toBe(reason);
  const { url, disconnected } = await startEndlessStream(CHUNKS.slice(0, 2));
  const controller = new AbortController();
  const stream = streamChat(new PythonClient(url), { messages }, { signal: controller.signal });
  await stream.next();
  await stream.next();
  const next = caught(stream.next());
  controller.abort(reason);
  expect(await next).toBe(reason);
  await disconnected;
});

it.each<[string, (events: AsyncGenerator<ChatEvent<Record<never, never>, undefined>>) => Promise<unknown>]>([
  ["between two events", async (events) => await events.return(undefined)],
  [
    "while it waits for one",
    async (events) => {
      const waiting = events.next();
      await events.return(undefined);
      expect(await waiting).toEqual({ done: true, value: undefined });
    },
  ],
])("cancels the request when it is left %s", async (_, leave) => {
  const { url, disconnected } = await startEndlessStream(CHUNKS.slice(0, 2));
  const events = streamChat(new PythonClient(url), { messages });
  expect((await events.next()).value).toMatchObject({ type: "start" });
  expect((await events.next()).value).toEqual({ type: "delta", text: "Once" });
  await leave(events);
  await disconnected;
});

it("cancels the request when it is left before there is an answer", async () => {
  const [asked, disconnected] = [deferred(), deferred()];
  const { url } = await startServer((_, response) => {
    response.on("close", disconnected.resolve);
    asked.resolve();
  });
  const events = streamChat(new PythonClient(url), { messages });
  const waiting = events.next();
  await asked.promise;
  await events.return(undefined);
  expect(await waiting).toEqual({ done: true, value: undefined });
  await disconnected.promise;
});

it("says what to do where no bodies are streamed", async () => {
  const client = new PythonClient({
    fetch: async () => ({ ok: true, body: undefined, headers: new Headers() }) as never,
  });
  const error = await caught(chat(client, { messages }));
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toHaveProperty("message", expect.stringContaining("expo/fetch"));
});

it("leaves the connection to the next request", async () => {
  const server = await startChat(wholeStream(CHUNKS));
  const client = new PythonClient(server.url);
  for (let n = 0; n < 10; n += 1) await chat(client, { messages });
  expect(server.connections).toBeLessThan(5); // Node's fetch may open a second one
});
