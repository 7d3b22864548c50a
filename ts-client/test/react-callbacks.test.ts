// @vitest-environment jsdom
import { act, createElement } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, expectTypeOf, it } from "vitest";
import { GenerationStore } from "../src/generation-store.js";
import type { GenerationResponse } from "../src/index.js";
import { PythonClient } from "../src/index.js";
import {
  type Generation,
  type GenerationCallbacks,
  type ObjectCallbacks,
  useGeneration,
  useObject,
  useResumableGeneration,
} from "../src/react.js";
import { sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { DELTAS, delta, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

let root: Root;
beforeEach(() => {
  Reflect.set(globalThis, "IS_REACT_ACT_ENVIRONMENT", true);
  root = createRoot(document.createElement("div"));
});
afterEach(() => act(async () => root.unmount()));

async function show(hook: () => object): Promise<void> {
  const Page = (): null => {
    hook();
    return null;
  };
  await act(async () => root.render(createElement(Page)));
}

async function startAnswering(): Promise<PythonClient> {
  const { url } = await startServer((request, response) => {
    request.resume();
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  return new PythonClient(url);
}

async function startFailing(): Promise<PythonClient> {
  const { url } = await startServer((_, response) => sendJson(response, 503, PROBLEM));
  return new PythonClient(url, { maxRetries: 0 });
}

const HOOKS = {
  useGeneration: (client: PythonClient, callbacks: GenerationCallbacks) => useGeneration(client, callbacks),
  useResumableGeneration: (client: PythonClient, callbacks: GenerationCallbacks) =>
    useResumableGeneration("story", client, callbacks),
};

it.each(Object.entries(HOOKS))("calls what %s is told to call, once", async (_, hook) => {
  const called: unknown[] = [];
  const callbacks: GenerationCallbacks = {
    onFinish: (done) => called.push([done.status, done.text, done.response.finish_reason]),
    onError: (error) => called.push(error.name),
  };
  let generation: Generation | undefined;
  const clients = [await startAnswering(), await startFailing()] as const;
  for (const client of clients) {
    await show(() => {
      generation = hook(client, callbacks);
      return generation;
    });
    await act(async () => generation?.generate(REQUEST));
  }
  expect(called).toEqual([["done", RESPONSE.text, "stop"], "ApiError"]);
});

it("calls what useObject is told to call, with the object", async () => {
  const text = '{"name":"Rex"}';
  const { url } = await startServer((_, response) => {
    startEventStream(response, [START, delta(0, text), { type: "done", response: { ...RESPONSE, text } }]);
    response.end();
  });
  const client = new PythonClient(url);
  const called: { name: string }[] = [];
  const callbacks: ObjectCallbacks<{ name: string }> = { onFinish: ({ object }) => called.push(object) };
  let generate: ((request: { prompt: string }) => Promise<void>) | undefined;
  await show(() => ({ generate } = useObject<{ name: string }>({ type: "object" }, client, callbacks)));
  await act(async () => generate?.(REQUEST));
  expect(called).toEqual([{ name: "Rex" }]);
});

it("calls the functions of the last render", async () => {
  const called: number[] = [];
  const client = await startAnswering();
  let generation: Generation | undefined;
  const Page = ({ number }: { number: number }): null => {
    generation = useGeneration(client, number > 0 ? { onFinish: () => called.push(number) } : undefined);
    return null;
  };
  for (const number of [1, 2]) await act(async () => root.render(createElement(Page, { number })));
  await act(async () => generation?.generate(REQUEST));
  expect(called).toEqual([2]);
  await act(async () => root.render(createElement(Page, { number: 0 })));
  await act(async () => generation?.generate(REQUEST));
  expect(called).toEqual([2]);
});

it("calls nothing where a generation is stopped, or made anew", async () => {
  const { url } = await startEndlessStream([START, ...DELTAS]);
  const store = new GenerationStore(new PythonClient(url));
  const called: unknown[] = [];
  store.callbacks = { onFinish: () => called.push("onFinish"), onError: (error) => called.push(error) };
  const first = store.generate(REQUEST);
  const second = store.generate(REQUEST);
  await first;
  store.stop();
  await second;
  expect([store.getState().status, called]).toEqual(["stopped", []]);
});

it("has no run fail by what a callback throws", async () => {
  const thrown: unknown[] = [];
  const store = new GenerationStore(await startAnswering());
  const failure = new Error("of a callback");
  store.callbacks = {
    onFinish: () => {
      throw failure;
    },
    onError: (error) => thrown.push(error),
  };
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").once("uncaughtException", (error) => thrown.push(error));
  await store.generate(REQUEST);
  await new Promise((resolve) => setImmediate(resolve));
  for (const listener of listeners) process.on("uncaughtException", listener);
  expect([store.getState().status, thrown]).toEqual(["done", [failure]]);
});

it("knows what a callback is called with", () => {
  type Done = Parameters<NonNullable<GenerationCallbacks["onFinish"]>>[0];
  expectTypeOf<Done["response"]>().toEqualTypeOf<GenerationResponse>();
  expectTypeOf<Done["text"]>().toBeString();
});
