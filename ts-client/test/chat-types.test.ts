import { expectTypeOf, it } from "vitest";
import { z } from "zod";
import { type ChatAnswer, chat, type ToolCallOf } from "../src/chat.js";
import { PythonClient } from "../src/index.js";

const client = new PythonClient();
const messages = [{ role: "user", content: "Hello" }] as const;
const weather = { description: "Of a city", parameters: z.object({ city: z.string(), days: z.number().default(1) }) };
const clock = { parameters: { type: "object" } };

// The types of calls that are never made.
const calls = {
  plain: () => chat(client, { messages }),
  tools: () => chat(client, { messages, tools: { weather, clock } }),
  output: () => chat(client, { messages, output: z.array(z.string()) }),
  both: () => chat(client, { messages, tools: { clock }, output: z.array(z.string()) }),
};

it("has no object and no calls where none were asked for", () => {
  type Answer = Awaited<ReturnType<typeof calls.plain>>;
  expectTypeOf<Answer["object"]>().toEqualTypeOf<undefined>();
  expectTypeOf<Answer["toolCalls"]>().toEqualTypeOf<readonly never[]>();
});

it("tells by the name of a call what its arguments are", () => {
  type Call = Awaited<ReturnType<typeof calls.tools>>["toolCalls"][number];
  expectTypeOf<Call["name"]>().toEqualTypeOf<"weather" | "clock">();
  expectTypeOf<Extract<Call, { name: "weather" }>["arguments"]>().toEqualTypeOf<{ city: string; days: number }>();
  expectTypeOf<Extract<Call, { name: "clock" }>["arguments"]>().toBeUnknown();
  expectTypeOf<Call>().toEqualTypeOf<ToolCallOf<{ weather: typeof weather; clock: typeof clock }>>();
});

it("has the type of the output's values, unless a tool may be called in its place", () => {
  expectTypeOf<Awaited<ReturnType<typeof calls.output>>["object"]>().toEqualTypeOf<string[]>();
  expectTypeOf<Awaited<ReturnType<typeof calls.both>>["object"]>().toEqualTypeOf<string[] | undefined>();
  expectTypeOf<ChatAnswer<{ clock: typeof clock }, undefined>["object"]>().toEqualTypeOf<undefined>();
});

it("takes only the names of its tools, and nothing that would change how the answer is read", () => {
  const tools = { weather };
  const type = "function";
  const named = () => chat(client, { messages, tools, tool_choice: { type, function: { name: "weather" } } });
  // @ts-expect-error there is no such tool
  const unknown = () => chat(client, { messages, tools, tool_choice: { type, function: { name: "clock" } } });
  // @ts-expect-error one answer is read
  const several = () => chat(client, { messages, n: 2 });
  // @ts-expect-error whether it streams is for the function to say
  const streamed = () => chat(client, { messages, stream: false });
  for (const call of [named, unknown, several, streamed]) expectTypeOf(call).toBeFunction();
});
