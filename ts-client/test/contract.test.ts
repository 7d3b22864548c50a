import { readFileSync } from "node:fs";
import { expect, expectTypeOf, it } from "vitest";
import {
  hasText,
  isBatchOf,
  isGenerationResponse,
  isModelList,
  isProblem,
  isStreamEvent,
  parseJson,
} from "../src/contract.js";
import type { GenerationRequest, StreamEvent } from "../src/index.js";
import type { StreamEvent as GeneratedStreamEvent } from "../src/schema.gen.js";
import { ERROR, PROBLEM, RESPONSE, WHOLE_STREAM } from "./wire.js";

it("knows every event of the contract", () => {
  expectTypeOf<StreamEvent["type"]>().toEqualTypeOf<"start" | "delta" | "done" | "error">();
  expectTypeOf<StreamEvent>().toEqualTypeOf<GeneratedStreamEvent>();
  for (const event of [...WHOLE_STREAM, ERROR]) expect(isStreamEvent(event)).toBe(true);
});

it("tells the events of a stream apart as openapi.json says", () => {
  const { paths, components } = JSON.parse(readFileSync(new URL("../../openapi.json", import.meta.url), "utf8"));
  const { itemSchema } = paths["/generate/stream"].post.responses["200"].content["text/event-stream"];
  expect(JSON.stringify(itemSchema)).toContain('"#/components/schemas/StreamEvent"');
  const { propertyName, mapping } = components.schemas.StreamEvent.discriminator;
  expect(propertyName).toBe("type");
  expect(Object.keys(mapping).sort()).toEqual(["delta", "done", "error", "start"]);
  for (const type of Object.keys(mapping)) expect(isStreamEvent({ type })).not.toBeUndefined();
});

it("asks for nothing but a prompt", () => {
  expectTypeOf<{ prompt: string }>().toExtend<GenerationRequest>();
  expectTypeOf<{ max_length: number }>().not.toExtend<GenerationRequest>();
});

it("takes undefined for whatever it does not ask for", () => {
  type Rest = Omit<GenerationRequest, "prompt">;
  expectTypeOf<{ prompt: string } & Record<keyof Rest, undefined>>().toExtend<GenerationRequest>();
  expectTypeOf<{ prompt: undefined }>().not.toExtend<GenerationRequest>();
});

it("tells the bodies of the gateway from others", () => {
  expect(isGenerationResponse(RESPONSE)).toBe(true);
  expect(isBatchOf(2)({ results: [RESPONSE, PROBLEM] })).toBe(true);
  expect(isModelList({ models: [] })).toBe(true);
  expect(isProblem(PROBLEM)).toBe(true);
  for (const other of [
    undefined,
    null,
    1,
    "text",
    [],
    {},
    { text: 1 },
    { models: {} },
    { results: [1] },
    { detail: "without a code" },
  ]) {
    for (const isExpected of [isBatchOf(1), isGenerationResponse, isModelList, isProblem, isStreamEvent]) {
      expect(isExpected(other), `${isExpected.name}(${JSON.stringify(other)})`).toBe(false);
    }
  }
});

it("reads what is JSON and nothing of what is not", () => {
  expect(parseJson('{"text": "a"}')).toEqual({ text: "a" });
  expect(parseJson('{"text": "a"')).toBeUndefined();
  expect(hasText(parseJson("null"), "text")).toBe(false);
});
