// @vitest-environment jsdom
import { act, createElement, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PythonClient } from "../src/index.js";
import { type Generation, type GenerationState, useResumableGeneration } from "../src/react.js";
import { startServer } from "./local-server.js";
import { delta, encodeWithId, REQUEST, RESPONSE, START } from "./wire.js";

const TEXT = "Once upon a time";

let root: Root;
let element: HTMLElement;
let generation: GenerationState & Generation;

beforeEach(() => {
  Reflect.set(globalThis, "IS_REACT_ACT_ENVIRONMENT", true);
  sessionStorage.clear();
  openPage();
});
afterEach(() => act(async () => root.unmount()));

function openPage(): void {
  element = document.createElement("div");
  root = createRoot(element);
}

function Page({ client, name }: { client: PythonClient; name: string }): string {
  generation = useResumableGeneration(name, client);
  return `${generation.status}: ${generation.text}`;
}

async function show(client: PythonClient, name = "story"): Promise<void> {
  await act(async () => root.render(createElement(StrictMode, null, createElement(Page, { client, name }))));
}

async function until(text: string): Promise<void> {
  while (element.textContent !== text) await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
}

/** As a browser does it: the page hears that it goes, and nothing of it runs any more. */
async function reload(client: PythonClient): Promise<void> {
  dispatchEvent(new Event("pagehide"));
  const kept = sessionStorage.getItem("torchbridge:story");
  await act(async () => root.unmount());
  sessionStorage.clear();
  if (kept !== null) sessionStorage.setItem("torchbridge:story", kept);
  openPage();
  await show(client);
}

/** Tells the first words and then nothing more, and to who goes on behind them all the rest. */
async function startWaiting() {
  const asked: (string | undefined)[] = [];
  const stopped: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    request.resume();
    const id = request.headers["last-event-id"] as string | undefined;
    if (request.method === "DELETE") {
      stopped.push(id);
      response.writeHead(204).end();
      return;
    }
    asked.push(id);
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (id === undefined) response.write(encodeWithId(START, "0") + encodeWithId(delta(0, "Once upon"), "2"));
    else {
      const response_ = { ...RESPONSE, text: TEXT };
      response.end(encodeWithId(delta(1, " a time")) + encodeWithId({ type: "done", response: response_ }));
    }
  });
  return { client: new PythonClient(url), asked, stopped };
}

it("goes on after a reload where it was, with the text that was there", async () => {
  const { client, asked } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  await reload(client);
  expect(generation.request).toEqual(REQUEST);
  await until(`done: ${TEXT}`);
  expect(asked).toEqual([undefined, "2"]);
});

it("does not go on with what was stopped, and neither does the gateway", async () => {
  const { client, asked, stopped } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  act(() => generation.stop());
  await until("stopped: Once upon");
  await vi.waitUntil(() => stopped.length > 0);
  await reload(client);
  expect(element.textContent).toBe("idle: ");
  expect(asked).toEqual([undefined]);
  expect(stopped).toEqual(["2"]);
});

it("stops for good what another request takes the place of", async () => {
  const { client, stopped } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  await act(async () => {
    void generation.generate(REQUEST);
    await vi.waitUntil(() => stopped.length > 0);
  });
  await until("streaming: Once upon");
  expect(stopped).toEqual(["2"]);
});

it("does not go on with what was done", async () => {
  const { client, asked } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  await reload(client);
  await until(`done: ${TEXT}`);
  await reload(client);
  expect(element.textContent).toBe("idle: ");
  expect(asked).toEqual([undefined, "2"]);
});

it("does not go on with what was done after the page had been hidden, and was back", async () => {
  const { client, asked } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  dispatchEvent(new Event("pagehide")); // the browser keeps the page whole, and shows it again
  act(() => void generation.stop());
  await reload(client);
  expect(element.textContent).toBe("idle: ");
  expect(asked).toEqual([undefined]);
});

it("goes on when its component is shown again, and has stopped nothing", async () => {
  const { client, asked, stopped } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  await act(async () => root.render(null));
  await show(client);
  await until(`done: ${TEXT}`);
  expect(asked).toEqual([undefined, "2"]);
  expect(stopped).toEqual([]);
});

it("shows the answer of the other key when its key changes, and goes on with the first when that is back", async () => {
  const { client, asked, stopped } = await startWaiting();
  await show(client);
  act(() => void generation.generate(REQUEST));
  await until("streaming: Once upon");
  await show(client, "another story");
  expect(element.textContent).toBe("idle: ");
  expect(generation.request).toBeUndefined();
  await show(client);
  await until(`done: ${TEXT}`);
  expect([asked, stopped]).toEqual([[undefined, "2"], []]);
});
