import { member } from "../contract.js";
import type { SchemaResult } from "../options.js";
import { InvalidObjectError, ObjectTruncatedError, type SchemaIssue } from "./errors.js";
import { modelSchema } from "./model-schema.js";

/** What a value has to be: a Standard Schema that tells its JSON schema, or a JSON schema. */
export type ObjectSchema<Value, Sent = Value> = StandardJsonSchema<Value, Sent> | JsonSchema;

/**
 * A validator that also tells its JSON schema, as those of Zod (from 4.2) and ArkType do, and Valibot's by
 * `toStandardJsonSchema`: https://standardschema.dev/json-schema.
 */
export interface StandardJsonSchema<Value, Sent = Value> {
  /** The part of it that this package calls. */
  readonly "~standard": {
    readonly validate: (value: unknown) => SchemaResult<Value> | Promise<SchemaResult<Value>>;
    readonly jsonSchema: { readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown> };
    readonly types?: { readonly input: Sent; readonly output: Value } | undefined;
  };
}

/** A JSON schema, draft 2020-12. The type of its values is the caller's word. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  /** None: a Standard Schema that cannot tell its JSON schema is no schema for a model. */
  readonly "~standard"?: never;
}

/**
 * The JSON schema of what a model may write.
 *
 * @throws TypeError where a schema cannot tell it, or what the schema itself throws.
 */
export function jsonSchemaOf(schema: ObjectSchema<unknown>): Record<string, unknown> {
  if (!isStandard(schema)) return schema as Record<string, unknown>;
  if (typeof member(schema["~standard"].jsonSchema, "input") !== "function") {
    throw new TypeError("This schema cannot tell its JSON schema: a newer version of its library may");
  }
  return modelSchema(schema["~standard"].jsonSchema.input({ target: "draft-2020-12" }));
}

/**
 * The value that a model wrote, as its schema makes it.
 *
 * @throws ObjectTruncatedError where the answer ended within it, InvalidObjectError where the schema refuses it.
 */
export async function writtenValue<Value>(
  schema: ObjectSchema<Value, unknown>,
  text: string,
  finishReason: string,
): Promise<Value> {
  const value = parsed(text, finishReason);
  if (!isStandard(schema)) return value as Value;
  const result = await schema["~standard"].validate(value);
  if (result.issues) throw new InvalidObjectError(text, result.issues);
  return result.value;
}

function parsed(text: string, finishReason: string): unknown {
  const isCut = finishReason === "length" || finishReason === "stop_sequence";
  try {
    const value: unknown = JSON.parse(text);
    if (!isCut || typeof value !== "number") return value; // of 123, 12 is a number as well
  } catch {
    const issues: SchemaIssue[] = [{ message: "it is no JSON" }];
    if (!isCut) throw new InvalidObjectError(text, issues);
  }
  throw new ObjectTruncatedError(text, finishReason);
}

function isStandard<Value>(schema: ObjectSchema<Value, unknown>): schema is StandardJsonSchema<Value, unknown> {
  return member(schema, "~standard") !== undefined;
}
