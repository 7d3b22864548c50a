import { member } from "../contract.js";

type Schema = Record<string, unknown>;

/**
 * The schema without properties that it does not name, unless it speaks of others itself. A validator drops them, so its
 * JSON schema lets them pass: a model would spend its tokens on them.
 */
export function closed(schema: Schema): Schema {
  // Of parts that hold together none may be closed: each would refuse the properties of the others.
  return JSON.stringify(schema).includes('"allOf":') ? schema : (closedAt(schema) as Schema);
}

function closedAt(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const result: Schema = { ...schema };
  for (const key of ["properties", "$defs", "definitions"]) {
    const parts = member(schema, key);
    if (parts) result[key] = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, closedAt(part)]));
  }
  for (const key of ["anyOf", "oneOf", "prefixItems"]) {
    const parts = member(schema, key);
    if (Array.isArray(parts)) result[key] = parts.map(closedAt);
  }
  for (const key of ["items", "additionalProperties"]) {
    if (key in schema) result[key] = closedAt(member(schema, key));
  }
  return "properties" in schema ? { additionalProperties: false, ...result } : result;
}
