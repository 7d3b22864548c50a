// @vitest-environment jsdom
import { act, createElement } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { PythonClient } from "../src/index.js";
import type { PartialObject } from "../src/objects.js";
import { type Generation, type ObjectPrompt, type ObjectState, useObject } from "../src/react.js";
import { startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { delta, RESPONSE, START } from "./wire.js";

const Pet = z.object({ name: z.string(), born: z.string().transform(Number) });
type Pet = z.infer<typeof Pet>;
type WrittenPet = z.input<typeof Pet>;

const DELTAS = [delta(0, '{"name":"Rex",'), delta(1, '"born":"20')];

let root: Root;
let element: HTMLElement;
let pet: ObjectState<Pet, WrittenPet> & Generation<ObjectPrompt>;

beforeEach(() => {
  Reflect.set(globalThis, "IS_REACT_ACT_ENVIRONMENT", true);
  element = document.createElement("div");
  root = createRoot(element);
});
afterEach(() => act(async () => root.unmount()));

function Page({ client }: { client: PythonClient }): string {
  pet = useObject(Pet, client);
  return `${pet.status}: ${JSON.stringify(pet.object)}`;
}

async function show(client: PythonClient): Promise<void> {
  await act(async () => root.render(createElement(Page, { client })));
}

async function until(text: string): Promise<void> {
  while (element.textContent !== text) await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
}

async function startAnswering(text: string): Promise<PythonClient> {
  const { url } = await startServer((_, response) => {
    startEventStream(response, [START, delta(0, text), { type: "done", response: { ...RESPONSE, text } }]);
    response.end();
  });
  return new PythonClient(url);
}

it("shows what is written of the object, and keeps it when it is stopped", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  await show(new PythonClient(url));
  expect(element.textContent).toBe("idle: undefined");
  act(() => void pet.generate({ prompt: "A dog" }));
  expect(element.textContent).toBe("waiting: undefined");
  await until('streaming: {"name":"Rex","born":"20"}');
  act(() => pet.stop());
  expect(element.textContent).toBe('stopped: {"name":"Rex","born":"20"}');
  await disconnected;
});

it("ends with the object that its schema makes", async () => {
  await show(await startAnswering('{"name":"Rex","born":"2019"}'));
  await act(() => pet.generate({ prompt: "A dog" }));
  expect(element.textContent).toBe('done: {"name":"Rex","born":2019}');
});

it("fails with what the schema refuses, beside what was written, and is tried again", async () => {
  const client = await startAnswering('{"name":"Rex"}');
  await show(client);
  await act(() => pet.generate({ prompt: "A dog" }));
  expect(element.textContent).toBe('failed: {"name":"Rex"}');
  expect(pet.status === "failed" && pet.error).toMatchObject({ name: "InvalidObjectError" });
  await show(await startAnswering('{"name":"Rex","born":"2019"}'));
  await act(() => pet.retry());
  expect(element.textContent).toBe('done: {"name":"Rex","born":2019}');
});

it("is cancelled when its component goes away", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  await show(new PythonClient(url));
  act(() => void pet.generate({ prompt: "A dog" }));
  await until('streaming: {"name":"Rex","born":"20"}');
  await act(async () => root.render(null));
  await disconnected;
});

it("has the type of what is written until it is done, and then of what the schema makes", () => {
  type State = ObjectState<Pet, WrittenPet>;
  expectTypeOf<Extract<State, { status: "done" }>["object"]>().toEqualTypeOf<Pet>();
  expectTypeOf<Extract<State, { status: "streaming" }>["object"]>().toEqualTypeOf<
    PartialObject<WrittenPet> | undefined
  >();
});
