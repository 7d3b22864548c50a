import { expect, it } from "vitest";
import { z } from "zod";
import { PythonClient, responseHead, type StreamEvent } from "../src/index.js";
import {
  generateObject,
  isInvalidObjectError,
  isObjectTruncatedError,
  type ObjectEvent,
  type ObjectSchema,
  streamObject,
} from "../src/objects.js";
import { readBody, sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, RESPONSE, START } from "./wire.js";

const SCHEMA = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
const prompt = "A dog: ";

type FinishReason = typeof RESPONSE.finish_reason;

const delta = (text: string): StreamEvent => ({ type: "delta", index: 0, text, logprobs: null, tool_calls: null });

/** A gateway whose answer is this text, in these pieces where it is streamed. */
async function startAnswering(pieces: readonly string[], finishReason: FinishReason = "complete") {
  const asked: Record<string, unknown>[] = [];
  const answer = { ...RESPONSE, text: pieces.join(""), finish_reason: finishReason };
  const { url } = await startServer(async (request, response) => {
    asked.push(JSON.parse(await readBody(request)));
    response.setHeader("x-request-id", "4b1f");
    if (request.url === "/generate") return sendJson(response, 200, answer);
    startEventStream(response, [START, ...pieces.map(delta), { type: "done", response: answer }]);
    response.end();
  });
  return { client: new PythonClient(url), asked, answer };
}

it("asks for the form of the schema, with the settings of the request", async () => {
  const { client, asked, answer } = await startAnswering(['{"name":"Rex"}']);
  const result = await generateObject<{ name: string }>(client, { prompt, schema: SCHEMA, temperature: 0 });
  expect(result).toEqual({ object: { name: "Rex" }, response: answer });
  expect(responseHead(result)?.requestId).toBe("4b1f");
  expect(asked).toEqual([{ prompt, temperature: 0, output: { schema: SCHEMA } }]);
});

it("asks for what a Standard Schema takes, and gives what it makes of that", async () => {
  const { client, asked } = await startAnswering(['{"age":"12"}']);
  const schema = z.object({ age: z.string().transform(Number), tricks: z.array(z.string()).default([]) });
  const { object } = await generateObject(client, { prompt, schema });
  expect(object).toEqual({ age: 12, tricks: [] });
  const [{ output } = {}] = asked;
  expect(output).toMatchObject({ schema: { properties: { age: { type: "string" } }, required: ["age"] } });
});

it("lets no model write properties that a Standard Schema would drop", async () => {
  const { client, asked } = await startAnswering(["null"]);
  const dog = z.object({ name: z.string() });
  const loose = z.looseObject({ name: z.string() });
  const schema = z.object({ properties: dog, list: z.array(dog), either: z.union([dog, loose]) }).nullable();
  await generateObject(client, { prompt, schema });
  const closed = { additionalProperties: false };
  const properties = {
    properties: closed,
    list: { items: closed },
    either: { anyOf: [closed, { additionalProperties: {} }] },
  };
  expect(asked).toMatchObject([{ output: { schema: { anyOf: [{ ...closed, properties }, { type: "null" }] } } }]);
});

it("says in other words what a record of Zod's says of its keys", async () => {
  const { client, asked } = await startAnswering(["{}"]);
  const schema = z
    .object({ any: z.record(z.string(), z.number()), some: z.partialRecord(z.enum(["a"]), z.string()) })
    .partial();
  await generateObject(client, { prompt, schema });
  expect(asked).toMatchObject([
    {
      output: {
        schema: {
          properties: {
            any: { type: "object", additionalProperties: { type: "number" } },
            some: { type: "object", properties: { a: { type: "string" } }, additionalProperties: false },
          },
        },
      },
    },
  ]);
  expect(JSON.stringify(asked)).not.toContain("propertyNames");
});

it("closes no part of what has to be valid by several parts", async () => {
  const { client, asked } = await startAnswering(["{}"]);
  const whole = { allOf: [SCHEMA, { type: "object", properties: { age: {} } }] };
  const validate = (value: unknown) => ({ value });
  const schema = Object.assign(() => 1, { "~standard": { validate, jsonSchema: { input: () => whole } } });
  await generateObject(client, { prompt, schema });
  expect(asked).toEqual([{ prompt, output: { schema: whole } }]);
});

it("yields the object as it grows, and at last as the schema makes it", async () => {
  const { client, answer } = await startAnswering(['{"na', 'me":"R', "ex", '","age":1', "2}"]);
  const schema = z.object({ name: z.string(), age: z.number().transform(String) });
  const events = await collect(streamObject(client, { prompt, schema }));
  expect(events).toEqual([
    START,
    { type: "partial", object: {} },
    { type: "partial", object: { name: "R" } },
    { type: "partial", object: { name: "Rex" } },
    { type: "partial", object: { name: "Rex" } },
    { type: "partial", object: { name: "Rex", age: 12 } },
    { type: "done", object: { name: "Rex", age: "12" }, response: answer },
  ]);
  expect([events[0], events.at(-1)].map((event) => event && responseHead(event)?.requestId)).toEqual(["4b1f", "4b1f"]);
});

/** How both ways to ask for an object fail. */
async function failures(client: PythonClient, schema: ObjectSchema<unknown>): Promise<unknown[]> {
  const request = { prompt, schema };
  return [await caught(generateObject(client, request)), await caught(collect(streamObject(client, request)))];
}

it.each([
  ['{"name":"Re', "length"],
  ['{"name":', "stop_sequence"],
  ["12", "length"],
  ["", "length"],
] as const)("says of %s that the answer ended by %s", async (text, finishReason) => {
  const { client } = await startAnswering([text], finishReason);
  for (const error of await failures(client, SCHEMA)) {
    expect(isObjectTruncatedError(error) && [error.text, error.finishReason]).toEqual([text, finishReason]);
    expect(isInvalidObjectError(error)).toBe(false);
    expect(responseHead(error as Error)?.requestId).toBe("4b1f");
  }
});

it("takes an object that was whole when the answer ended by its length", async () => {
  const { client } = await startAnswering(['{"name":"Rex"}'], "length");
  expect((await generateObject(client, { prompt, schema: SCHEMA })).object).toEqual({ name: "Rex" });
});

it("says what the schema has against an answer", async () => {
  const { client } = await startAnswering(['{"name":"Rex"}']);
  const schema = z.object({ name: z.string().refine((name) => name === "Ada", "is not Ada") });
  for (const error of await failures(client, schema)) {
    expect(isInvalidObjectError(error) && error).toMatchObject({
      message: "The answer is not valid: is not Ada",
      text: '{"name":"Rex"}',
      issues: [{ message: "is not Ada", path: ["name"] }],
    });
  }
});

it("says of an answer that is no JSON that it is none", async () => {
  const { client } = await startAnswering(["Rex is a dog"]);
  for (const error of await failures(client, SCHEMA)) {
    expect(isInvalidObjectError(error) && error.issues).toEqual([{ message: "it is no JSON" }]);
  }
});

it("refuses a schema that cannot tell its JSON schema before there is a request", async () => {
  const client = new PythonClient({ fetch: () => expect.unreachable("a request") });
  const schema = { "~standard": { validate: () => ({ value: 1 }) } } as unknown as ObjectSchema<number>;
  expect(await caught(generateObject(client, { prompt, schema }))).toBeInstanceOf(TypeError);
  expect(() => streamObject(client, { prompt, schema })).toThrow(TypeError);
});

it("throws what the gateway answers, and the reason of an abort", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 503, PROBLEM));
  const client = new PythonClient(url, { maxRetries: 0 });
  for (const error of await failures(client, SCHEMA)) expect(error).toMatchObject({ code: "overloaded" });
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  expect(await caught(generateObject(client, { prompt, schema: SCHEMA }, { signal }))).toBe(reason);
  expect(await caught(collect(streamObject(client, { prompt, schema: SCHEMA }, { signal })))).toBe(reason);
});

it.each<[string, (objects: AsyncGenerator<ObjectEvent<unknown>>) => Promise<unknown>]>([
  ["between two events", async (objects) => await objects.return(undefined)],
  [
    "while it waits for one",
    async (objects) => {
      const waiting = objects.next();
      await objects.return(undefined);
      expect(await waiting).toEqual({ done: true, value: undefined });
    },
  ],
])("cancels the request when it is left %s", async (_, leave) => {
  const { url, disconnected } = await startEndlessStream([START, delta('{"name":"R')]);
  const objects = streamObject(new PythonClient(url), { prompt, schema: SCHEMA });
  expect((await objects.next()).value).toEqual(START);
  expect((await objects.next()).value).toEqual({ type: "partial", object: { name: "R" } });
  await leave(objects);
  await disconnected;
});

it("sends nothing when it is left before its first event", async () => {
  const client = new PythonClient({ fetch: () => expect.unreachable("a request") });
  const objects = streamObject(client, { prompt, schema: SCHEMA });
  await objects.return(undefined);
  expect(await objects.next()).toEqual({ done: true, value: undefined });
});
