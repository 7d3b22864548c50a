import { member } from "../contract.js";

type Schema = Record<string, unknown>;

const NAMED_PARTS = ["properties", "$defs", "definitions"];
const LISTED_PARTS = ["anyOf", "oneOf", "allOf", "prefixItems"];
const SINGLE_PARTS = ["items", "additionalProperties"];

/**
 * What a validator says of its values, as a model can be held to it.
 *
 * A validator drops or overlooks properties that it does not name, so its JSON schema lets them pass: a model would spend
 * its tokens on them. They are refused here, unless it speaks of others itself. `propertyNames`, which the gateway does not
 * keep, is said in other words where it can be: Zod writes it for each record.
 */
export function modelSchema(schema: Schema): Schema {
  // Of parts that hold together none may be closed: each would refuse the properties of the others.
  return modelSchemaAt(schema, !JSON.stringify(schema).includes('"allOf":')) as Schema;
}

function modelSchemaAt(schema: unknown, isClosed: boolean): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const result: Schema = withoutPropertyNames({ ...schema });
  const inner = (part: unknown): unknown => modelSchemaAt(part, isClosed);
  for (const key of NAMED_PARTS) {
    const entries = Object.entries(result[key] ?? {});
    if (key in result) result[key] = Object.fromEntries(entries.map(([name, part]) => [name, inner(part)]));
  }
  for (const key of LISTED_PARTS) {
    const parts = result[key];
    if (Array.isArray(parts)) result[key] = parts.map(inner);
  }
  for (const key of SINGLE_PARTS) {
    if (key in result) result[key] = inner(result[key]);
  }
  return isClosed && "properties" in result ? { additionalProperties: false, ...result } : result;
}

function withoutPropertyNames(schema: Schema): Schema {
  const { propertyNames, ...rest } = schema;
  const { additionalProperties: value = {} } = rest;
  const names = member(propertyNames, "enum");
  if (Array.isArray(names) && !("properties" in schema)) {
    return { ...rest, properties: Object.fromEntries(names.map((name) => [name, value])), additionalProperties: false };
  }
  return JSON.stringify(propertyNames) === '{"type":"string"}' ? rest : schema; // every name is a string
}
