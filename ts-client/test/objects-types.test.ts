import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { expectTypeOf, it } from "vitest";
import { z } from "zod";
import { PythonClient } from "../src/index.js";
import {
  generateObject,
  type ObjectEvent,
  type ObjectResult,
  type ObjectStream,
  type PartialObject,
  type StandardJsonSchema,
  streamObject,
} from "../src/objects.js";

interface City {
  name: string;
  tags: string[];
  founded: { year: number };
}

const client = new PythonClient();
const prompt = "A city: ";

// The types of calls that are never made.
const calls = {
  zod: () => generateObject(client, { prompt, schema: z.object({ name: z.string(), age: z.number().optional() }) }),
  transforming: () => streamObject(client, { prompt, schema: z.object({ length: z.string().transform(Number) }) }),
  typed: () => generateObject<City>(client, { prompt, schema: { type: "object" } }),
  untyped: () => generateObject(client, { prompt, schema: { type: "object" } }),
  ownJsonSchema: () => generateObject(client, { prompt, schema: z.toJSONSchema(z.array(z.boolean())) }),
};

it("has the type of the schema's values", () => {
  expectTypeOf(calls.zod).returns.resolves.toEqualTypeOf<ObjectResult<{ name: string; age?: number | undefined }>>();
  expectTypeOf(calls.typed).returns.resolves.toEqualTypeOf<ObjectResult<City>>();
  expectTypeOf(calls.untyped).returns.resolves.toEqualTypeOf<ObjectResult<unknown>>();
});

it("has the type of what the model writes until the schema has seen it", async () => {
  expectTypeOf(calls.transforming).returns.toEqualTypeOf<ObjectStream<{ length: number }, { length: string }>>();
  expectTypeOf<PartialObject<City>>().toEqualTypeOf<{
    name?: string;
    tags?: string[];
    founded?: { year?: number };
  }>();
  const seen = (event: ObjectEvent<{ length: number }, { length: string }>): void => {
    if (event.type === "partial") expectTypeOf(event.object).toEqualTypeOf<{ length?: string }>();
    if (event.type === "done") expectTypeOf(event.object).toEqualTypeOf<{ length: number }>();
  };
  expectTypeOf(seen).returns.toBeVoid();
});

it("takes every Standard Schema that tells its JSON schema, and no other", () => {
  type Both = StandardSchemaV1.Props<string, number> & StandardJSONSchemaV1.Props<string, number>;
  expectTypeOf<{ readonly "~standard": Both }>().toExtend<StandardJsonSchema<number, string>>();
  const { validate } = z.string()["~standard"];
  const silent = { "~standard": { version: 1 as const, vendor: "old", validate } };
  // @ts-expect-error it cannot tell its JSON schema
  const refused = () => generateObject(client, { prompt, schema: silent });
  // @ts-expect-error the schema is the form of the answer
  const twice = () => generateObject(client, { prompt, schema: {}, output: { choice: ["yes"] } });
  expectTypeOf(refused).toBeFunction();
  expectTypeOf(twice).toBeFunction();
});
