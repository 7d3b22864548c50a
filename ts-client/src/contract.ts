// The way from JSON to the generated types. The guards look at no more than what this package itself relies on:
// an answer that passes is the gateway's, and for the rest of it the gateway has its word.

import type { BatchResponse, GenerationResponse, ModelList, Problem, StreamEvent } from "./schema.gen.js";

/** The value that `text` stands for, or undefined if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function hasText<Key extends string>(value: unknown, key: Key): value is Record<Key, string> {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, key) === "string";
}

export function isGenerationResponse(value: unknown): value is GenerationResponse {
  return hasText(value, "text");
}

export function isBatchResponse(value: unknown): value is BatchResponse {
  if (typeof value !== "object" || value === null || !("results" in value) || !Array.isArray(value.results))
    return false;
  return value.results.every((result) => isGenerationResponse(result) || isProblem(result));
}

export function isModelList(value: unknown): value is ModelList {
  return typeof value === "object" && value !== null && "models" in value && Array.isArray(value.models);
}

export function isProblem(value: unknown): value is Problem {
  return hasText(value, "detail") && hasText(value, "code");
}

export function isStreamEvent(value: unknown): value is StreamEvent {
  if (!hasText(value, "type")) return false;
  switch (value.type) {
    case "start":
      return true;
    case "delta":
      return hasText(value, "text");
    case "done":
      return "response" in value && isGenerationResponse(value.response);
    case "error":
      return "problem" in value && isProblem(value.problem);
    default:
      return false;
  }
}
