// The way from JSON to the generated types. The guards look at no more than what this package itself relies on:
// an answer that passes is the gateway's, and for the rest of it the gateway has its word.

import type {
  BatchResponse,
  DeltaEvent,
  DoneEvent,
  ErrorEvent,
  GenerationResponse,
  Health,
  ModelList,
  Problem,
  StartEvent,
} from "./schema.gen.js";

/** An event of a stream: `switch (event.type)` tells them apart. */
export type StreamEvent = StartEvent | DeltaEvent | DoneEvent | ErrorEvent;

/** The value that `text` stands for, or undefined if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a value of any kind. */
export function member(value: unknown, key: PropertyKey): unknown {
  return (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
}

export function hasText<Key extends string>(value: unknown, key: Key): value is Record<Key, string> {
  return typeof member(value, key) === "string";
}

function hasList<Key extends string>(value: unknown, key: Key): value is Record<Key, unknown[]> {
  return Array.isArray(member(value, key));
}

export function isGenerationResponse(value: unknown): value is GenerationResponse {
  return hasText(value, "text");
}

/** Whether there is a result for each of so many requests. */
export function isBatchOf(size: number): (value: unknown) => value is BatchResponse {
  return (value): value is BatchResponse =>
    hasList(value, "results") &&
    value.results.length === size &&
    value.results.every((result) => isGenerationResponse(result) || isWholeProblem(result));
}

export function isModelList(value: unknown): value is ModelList {
  return hasList(value, "models");
}

export function isHealth(value: unknown): value is Health {
  return hasText(value, "status");
}

export function isProblem(value: unknown): value is Problem {
  return hasText(value, "detail") && hasText(value, "code");
}

/** Within a stream or a batch: no head tells what it leaves out. */
export function isWholeProblem(value: unknown): value is Problem {
  return isProblem(value) && typeof member(value, "status") === "number";
}

/** Whether it is an event of ours, or undefined if it is of a type that this version does not know. */
export function isStreamEvent(value: unknown): boolean | undefined {
  if (!hasText(value, "type")) return false;
  switch (value.type) {
    case "start":
      return true;
    case "delta":
      return hasText(value, "text");
    case "done":
      return isGenerationResponse(member(value, "response"));
    case "error":
      return isWholeProblem(member(value, "problem"));
    default:
      return undefined;
  }
}
