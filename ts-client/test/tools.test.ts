import { getEventListeners } from "node:events";
import { expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import type { ToolCallOf } from "../src/chat.js";
import { PythonClient, responseHead } from "../src/index.js";
import { runTools } from "../src/tools.js";
import { CHUNKS, chunk, OPENING, startChat, TOOL_CHUNKS, USED, wholeStream } from "./chat.js";
import { deferred } from "./deferred.js";
import { caught, collect } from "./wire.js";

const messages = [{ role: "user", content: "Is it warm in Bonn?" }] as const;
const clock = { parameters: z.object({}), execute: () => ({ hour: 12 }) };
const weather = { parameters: z.object({ city: z.string() }), execute: async () => "warm" };
const BOTH = wholeStream(TOOL_CHUNKS);
const TEXT = wholeStream(CHUNKS);

/** An answer with these calls, each of a name and the JSON of its arguments. */
function calling(...calls: readonly (readonly [name: string, given: string])[]): string {
  const pieces = calls.map(([name, given], index) =>
    chunk({ tool_calls: [{ index, id: `call_${index}`, type: "function", function: { name, arguments: given } }] }),
  );
  return wholeStream([OPENING, ...pieces, chunk({}, "tool_calls"), USED]);
}

/** What the model was told of its calls, by the last request. */
function told(asked: readonly Record<string, unknown>[]): unknown[] {
  const { messages: sent } = asked.at(-1) as { messages: { role: string; content: string }[] };
  return sent.filter(({ role }) => role === "tool").map(({ content }) => content);
}

it("runs what the model calls, and goes on until it calls nothing more", async () => {
  const { url, asked } = await startChat(BOTH, TEXT);
  const given: unknown[] = [];
  const answer = await runTools(new PythonClient(url), {
    messages,
    tools: {
      weather: {
        description: "Of a city",
        parameters: z.object({ city: z.string().transform((name) => [name]) }),
        execute: ({ city }, { callId }) => {
          expectTypeOf(city).toEqualTypeOf<string[]>();
          given.push([callId, city]);
          return "warm";
        },
      },
      clock,
    },
    tool_choice: "required",
    max_tokens: 9,
  }).answer;
  expect(given).toEqual([["call_1", ["Bonn"]]]);
  expect(answer).toMatchObject({ text: "Once more", toolCalls: [], finishReason: "length" });
  expect(answer.steps.map(({ toolCalls }) => toolCalls.map(({ name }) => name))).toEqual([["weather", "clock"], []]);
  expect(answer.messages).toEqual([
    ...messages,
    { role: "assistant", content: null, tool_calls: [{}, {}].map(() => expect.objectContaining({ type: "function" })) },
    { role: "tool", tool_call_id: "call_1", content: "warm" },
    { role: "tool", tool_call_id: "call_2", content: '{"hour":12}' },
    { role: "assistant", content: "Once more" },
  ]);
  expect(asked.map(({ tool_choice, max_tokens }) => [tool_choice, max_tokens])).toEqual([
    ["required", 9],
    [undefined, 9],
  ]);
  expect(asked[1]).toHaveProperty("messages", answer.messages.slice(0, -1));
  expect(responseHead(answer)?.requestId).toBe("4b1f");
  expect(messages).toHaveLength(1);
});

it("yields the events of each answer, and what the tools gave", async () => {
  const { url } = await startChat(BOTH, TEXT);
  const events = await collect(runTools(new PythonClient(url), { messages, tools: { weather, clock } }));
  expect(events.map(({ type }) => type)).toEqual([
    ...["start", "tool_call", "tool_call", "tool_result", "tool_result"],
    ...["start", "delta", "delta", "done"],
  ]);
  const { textStream } = runTools(new PythonClient(url), { messages, tools: { weather, clock } });
  expect(await collect(textStream)).toEqual(["Once", " more"]);
  const call = events.find((event) => event.type === "tool_call")?.call;
  expectTypeOf(call).toEqualTypeOf<ToolCallOf<{ weather: typeof weather; clock: typeof clock }> | undefined>();
});

it("runs the calls of one answer beside each other", async () => {
  const { url } = await startChat(calling(["first", "{}"], ["second", "{}"]), TEXT);
  const isSecondRun = deferred();
  const first = { ...clock, execute: () => isSecondRun.promise };
  const second = { ...clock, execute: () => isSecondRun.resolve() };
  const { steps } = await runTools(new PythonClient(url), { messages, tools: { first, second } }).answer;
  expect(steps).toHaveLength(2);
});

it.each([
  ["a text as it is", "yes", "yes"],
  ["all else as JSON", [1, { a: null }], '[1,{"a":null}]'],
  ["nothing as null", undefined, "null"],
])("tells the model %s", async (_, result, content) => {
  const { url, asked } = await startChat(calling(["clock", "{}"]), TEXT);
  await runTools(new PythonClient(url), { messages, tools: { clock: { ...clock, execute: () => result } } }).answer;
  expect(told(asked)).toEqual([content]);
});

it("tells the model, and who reads the events, what a tool throws", async () => {
  const { url, asked } = await startChat(calling(["clock", "{}"], ["other", "{}"]), TEXT);
  const failure = new Error("it has stopped");
  const tools = {
    clock: { ...clock, execute: () => Promise.reject(failure) },
    other: { ...clock, execute: () => 10n }, // no JSON
  };
  const events = await collect(runTools(new PythonClient(url), { messages, tools }));
  expect(told(asked)).toEqual(["Error: it has stopped", expect.stringMatching(/^Error: .*BigInt/)]);
  expect(events.find(({ type }) => type === "tool_result")).toEqual({
    type: "tool_result",
    callId: "call_0",
    name: "clock",
    content: "Error: it has stopped",
    error: failure,
  });
});

it("tells the model what a schema has against a call, which is not run", async () => {
  const city = z.object({ city: z.string().refine((name) => name === "Bonn", "unknown") });
  const run: unknown[] = [];
  const tools = { weather: { parameters: city, execute: (given: { city: string }) => run.push(given.city) } };
  const wrong = calling(["weather", '{"city":"Bonn"}'], ["weather", '{"city":"Rome"}']);
  const { url, asked } = await startChat(wrong, TEXT);
  const { messages: all, steps } = await runTools(new PythonClient(url), { messages, tools }).answer;
  expect([run, told(asked), steps.length]).toEqual([["Bonn"], ["1", "Error: The answer is not valid: unknown"], 1]);
  const called = ['{"city":"Bonn"}', '{"city":"Rome"}'].map((written) => ({ function: { arguments: written } }));
  expect(all[1]).toMatchObject({ role: "assistant", content: null, tool_calls: called });
});

it("throws a call that its schema refuses where there is no answer left", async () => {
  const parameters = z.object({}).refine(() => false, "never");
  const refusing = await startChat(calling(["clock", "{}"]));
  const tools = { clock: { parameters, execute: () => expect.unreachable() } };
  const error = await caught(collect(runTools(new PythonClient(refusing.url), { messages, tools, maxSteps: 2 })));
  expect(error).toMatchObject({ name: "InvalidToolCallError", callId: "call_0" });
  expect(refusing.asked).toHaveLength(2);
});

it("throws a call that is not whole: there is nothing to tell of it", async () => {
  const cut = [chunk({ tool_calls: [{ index: 0, id: "c", function: { name: "clock", arguments: "{" } }] })];
  const { url, asked } = await startChat(wholeStream([OPENING, ...cut, chunk({}, "length"), USED]));
  const error = await caught(collect(runTools(new PythonClient(url), { messages, tools: { clock } })));
  expect(error).toMatchObject({ name: "InvalidToolCallError", cause: { name: "ObjectTruncatedError" } });
  expect(asked).toHaveLength(1);
});

it("aborts no tool's signal where it is left at its done", async () => {
  const { url } = await startChat(calling(["clock", "{}"]), TEXT);
  const signals: AbortSignal[] = [];
  const execute = (_: unknown, { signal }: { signal: AbortSignal }) => signals.push(signal);
  const run = runTools(new PythonClient(url), { messages, tools: { clock: { ...clock, execute } } });
  for await (const { type } of run) if (type === "done") break;
  expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
});

it("ends after as many answers as it may take, with messages to go on from", async () => {
  const { url, asked } = await startChat(calling(["clock", "{}"]));
  const client = new PythonClient(url);
  const { finishReason, messages: all } = await runTools(client, { messages, tools: { clock }, maxSteps: 3 }).answer;
  expect([asked.length, finishReason, all.map(({ role }) => role)]).toEqual([
    3,
    "tool_calls",
    ["user", ...[1, 2, 3].flatMap(() => ["assistant", "tool"])],
  ]);
  await runTools(client, { messages, tools: { clock } }).answer;
  expect(asked.length).toBe(13);
});

it.each([
  ["is aborted", (controller: AbortController) => controller.abort("enough"), "enough"],
  ["is left", (_: AbortController, leave: () => unknown) => leave(), undefined],
])("waits for no tool when it %s, and tells the tool", async (_, end, reason) => {
  const { url, asked } = await startChat(calling(["clock", "{}"]));
  const controller = new AbortController();
  const told: unknown[] = [];
  const isRun = deferred();
  const execute = (_given: unknown, { signal }: { signal: AbortSignal }) => {
    signal.addEventListener("abort", () => told.push(reason && signal.reason));
    isRun.resolve();
    return new Promise(() => undefined);
  };
  const tools = { clock: { ...clock, execute } };
  const stream = runTools(new PythonClient(url), { messages, tools }, { signal: controller.signal });
  const events = caught(collect(stream));
  await isRun.promise;
  end(controller, () => void stream.return());
  expect([await events, told, asked.length]).toEqual([reason, [reason], 1]);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

it("runs no tool where the call is aborted by who has heard of it", async () => {
  const { url } = await startChat(calling(["clock", "{}"]));
  const controller = new AbortController();
  const tools = { clock: { ...clock, execute: () => expect.unreachable() } };
  const stream = runTools(new PythonClient(url), { messages, tools }, { signal: controller.signal });
  const error = await caught(
    (async () => {
      for await (const { type } of stream) if (type === "tool_call") controller.abort("enough");
    })(),
  );
  expect(error).toBe("enough");
});

it("takes only arguments that the schema gives", () => {
  const client = new PythonClient();
  const parameters = z.object({ city: z.string() });
  // @ts-expect-error it has a city
  const wrong = () => runTools(client, { messages, tools: { weather: { parameters, execute: ({ town }) => town } } });
  // @ts-expect-error nothing to run
  const without = () => runTools(client, { messages, tools: { weather: { parameters } } });
  const plain = { parameters: { type: "object" }, execute: (given: unknown) => given };
  const untyped = () => runTools(client, { messages, tools: { plain }, output: z.array(z.string()) });
  expectTypeOf<Awaited<ReturnType<typeof untyped>["answer"]>["object"]>().toEqualTypeOf<string[] | undefined>();
  for (const call of [wrong, without]) expectTypeOf(call).toBeFunction();
});
