// What React Native has in the place of `fetch` and `AbortController`, as far as the client sees it: its own `fetch` gives no
// bodies to stream, and its signals (abort-controller 3) have neither a reason nor `throwIfAborted`.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { streamChat } from "../src/chat.js";
import { GenerationStore } from "../src/generation-store.js";
import { type FetchFunction, PythonClient } from "../src/index.js";
import { CHUNKS } from "./chat.js";
import { deferred } from "./deferred.js";
import { startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { caught, collect, DELTAS, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

class NativeSignal extends EventTarget {
  aborted = false;
}

class NativeAbortController {
  readonly signal = new NativeSignal();
  abort(): void {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.dispatchEvent(new Event("abort"));
  }
}

const { AbortController: RealAbortController } = globalThis;

beforeEach(() => void vi.stubGlobal("AbortController", NativeAbortController));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** As expo/fetch: it streams, and looks at the signals that there are. */
const expoFetch: FetchFunction = (input, init) => {
  const controller = new RealAbortController();
  init?.signal?.addEventListener("abort", () => controller.abort());
  return fetch(input, { ...init, signal: controller.signal });
};

/** As React Native's own. */
const nativeFetch: FetchFunction = async (input, init) => {
  const response = await expoFetch(input, init);
  return new Proxy(response, {
    get: (target, key) => {
      const value: unknown = key === "body" ? undefined : Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
};

describe("with a fetch that streams", () => {
  it("cancels a chat that is left while it waits, and one that is aborted", async () => {
    const { url, disconnected } = await startEndlessStream(CHUNKS.slice(0, 2));
    const client = new PythonClient(url, { fetch: expoFetch });
    const left = streamChat(client, { messages: [] });
    await left.next();
    await left.next();
    const waiting = left.next();
    await left.return(undefined);
    expect(await waiting).toEqual({ done: true, value: undefined });
    await disconnected;
    const controller = new AbortController();
    const aborted = streamChat(client, { messages: [] }, { signal: controller.signal });
    await aborted.next();
    controller.abort();
    expect(await caught(collect(aborted))).toMatchObject({ name: "AbortError" });
  });

  it("reads a stream", async () => {
    const { url } = await startServer((_, response) => {
      startEventStream(response, WHOLE_STREAM);
      response.end();
    });
    const { signal } = new AbortController();
    const events = await collect(new PythonClient(url, { fetch: expoFetch }).streamText(REQUEST, { signal }));
    expect(events).toEqual(WHOLE_STREAM);
  });

  it("throws an AbortError for a signal that gives no reason, and disconnects", async () => {
    const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
    const controller = new AbortController();
    const events = new PythonClient(url, { fetch: expoFetch }).streamText(REQUEST, { signal: controller.signal });
    await events.next();
    const next = caught(
      events
        .next()
        .then(() => events.next())
        .then(() => events.next()),
    );
    controller.abort();
    expect(await next).toMatchObject({ name: "AbortError" });
    await disconnected;
  });

  it("sends nothing when the signal is aborted already", async () => {
    const server = await startServer((_, response) => response.end());
    const controller = new AbortController();
    controller.abort();
    const call = new PythonClient(server.url, { fetch: expoFetch }).models({ signal: controller.signal });
    expect(await caught(call)).toMatchObject({ name: "AbortError" });
    expect(server.connections).toBe(0);
  });

  it("knows its own timeouts from its caller's aborts", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { url, disconnected } = await startEndlessStream([START]);
    const events = new PythonClient(url, { fetch: expoFetch, timeouts: { idleMs: 1_000 } }).streamText(REQUEST);
    await events.next();
    const next = caught(events.next());
    vi.advanceTimersByTime(1_000);
    expect(await next).toMatchObject({ name: "TimeoutError", timeout: "idleMs" });
    await disconnected;
  });

  it("generates and stops as a store does", async () => {
    const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
    const store = new GenerationStore(new PythonClient(url, { fetch: expoFetch }));
    const all = deferred();
    store.subscribe(() => store.getState().text === RESPONSE.text && all.resolve());
    const generated = store.generate(REQUEST);
    await all.promise;
    store.stop();
    await generated;
    expect(store.getState()).toEqual({ status: "stopped", text: RESPONSE.text, start: START });
    await disconnected;
  });
});

describe("with a fetch that does not stream", () => {
  it("reads an answer that is no stream", async () => {
    const { url } = await startServer((_, response) => response.end(JSON.stringify(RESPONSE)));
    expect(await new PythonClient(url, { fetch: nativeFetch }).generateText(REQUEST)).toEqual(RESPONSE);
  });

  it("says what to install for one, and does not generate it again", async () => {
    let requests = 0;
    const { url } = await startServer((_, response) => {
      requests += 1;
      startEventStream(response, WHOLE_STREAM);
      response.end();
    });
    const error = await caught(collect(new PythonClient(url, { fetch: nativeFetch }).streamText(REQUEST)));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain("expo/fetch");
    expect(requests).toBe(1);
  });
});
