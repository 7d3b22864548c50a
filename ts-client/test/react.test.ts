// @vitest-environment jsdom
import { Activity, act, createElement, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PythonClient } from "../src/index.js";
import { type Generation, type GenerationState, useGeneration } from "../src/react.js";
import { startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { DELTAS, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

let root: Root;
let element: HTMLElement;
let generation: GenerationState & Generation;

beforeEach(() => {
  Reflect.set(globalThis, "IS_REACT_ACT_ENVIRONMENT", true);
  element = document.createElement("div");
  root = createRoot(element);
});
afterEach(() => act(async () => root.unmount()));

function Page({ client }: { client: PythonClient }): string {
  generation = useGeneration(client);
  return `${generation.status}: ${generation.text}`;
}

async function show(client: PythonClient): Promise<void> {
  await act(async () => root.render(createElement(StrictMode, null, createElement(Page, { client }))));
}

async function until(text: string): Promise<void> {
  while (element.textContent !== text) await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
}

it("shows the text as it grows, and stops", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  await show(new PythonClient(url));
  expect(element.textContent).toBe("idle: ");
  act(() => void generation.generate(REQUEST));
  expect(element.textContent).toBe("waiting: ");
  await until(`streaming: ${RESPONSE.text}`);
  act(() => generation.stop());
  expect(element.textContent).toBe(`stopped: ${RESPONSE.text}`);
  await disconnected;
});

it("is cancelled when its component goes away", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  await show(new PythonClient(url));
  act(() => void generation.generate(REQUEST));
  await until(`streaming: ${RESPONSE.text}`);
  await act(async () => root.render(null));
  await disconnected;
});

it("is found stopped by who was hidden and comes back", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  const page = createElement(Page, { client: new PythonClient(url) });
  const showAs = (mode: "visible" | "hidden") =>
    act(async () => root.render(createElement(Activity, { mode, children: page })));
  await showAs("visible");
  act(() => void generation.generate(REQUEST));
  await until(`streaming: ${RESPONSE.text}`);
  await showAs("hidden");
  await disconnected;
  await showAs("visible");
  expect(element.textContent).toBe(`stopped: ${RESPONSE.text}`);
});

it("asks the client of today, with functions that stay the same", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  await show(new PythonClient("http://unused"));
  const { generate, stop, retry } = generation;
  await show(new PythonClient(url));
  expect([generation.generate, generation.stop, generation.retry]).toEqual([generate, stop, retry]);
  await act(() => generate(REQUEST));
  expect(element.textContent).toBe(`done: ${RESPONSE.text}`);
});
