import { afterEach, expect, expectTypeOf, it, vi } from "vitest";
import { type GenerationState, GenerationStore } from "../src/generation-store.js";
import { type DeltaEvent, PythonClient, type StartEvent } from "../src/index.js";
import { deferred } from "./deferred.js";
import { sendJson, startEndlessStream, startEventStream, startServer } from "./local-server.js";
import { tellingStream } from "./told-stream.js";
import { DELTAS, DONE, encodeEvents, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

afterEach(() => void vi.useRealTimers());

function follow(store: GenerationStore): string[] {
  const seen: string[] = [];
  store.subscribe(() => seen.push(store.getState().status));
  return seen;
}

async function until(store: GenerationStore, isSo: (state: GenerationState) => boolean): Promise<void> {
  while (!isSo(store.getState())) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function startWhole(): Promise<string> {
  const { url } = await startServer((_, response) => {
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  return url;
}

it("goes from idle over waiting to the whole answer", async () => {
  const store = new GenerationStore(new PythonClient(await startWhole()));
  expect(store.getState()).toEqual({ status: "idle", text: "" });
  const seen = follow(store);
  await store.generate(REQUEST);
  expect(store.getState()).toEqual({ status: "done", text: RESPONSE.text, start: START, response: RESPONSE });
  expect([seen[0], seen.at(-1)]).toEqual(["waiting", "done"]);
});

it("tells of many events in one frame once, and has nothing to tell after the end", async () => {
  const many = Array.from({ length: 2_000 }, (_, index) => ({ type: "delta", index, text: "x" }));
  const { url } = await startServer((_, response) =>
    response
      .writeHead(200, { "content-type": "text/event-stream" })
      .end(encodeEvents([START, ...many, { type: "done", response: { ...RESPONSE, text: "x".repeat(2_000) } }])),
  );
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }); // so no frame ends while they come
  const store = new GenerationStore(new PythonClient(url));
  const seen = follow(store);
  await store.generate(REQUEST);
  vi.advanceTimersByTime(1_000);
  expect(seen).toEqual(["waiting", "done"]);
});

it("tells of what came in a frame when it is over", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const allCame = deferred();
  const client = new PythonClient("http://unused");
  client.streamText = tellingStream(async function* () {
    yield START as StartEvent;
    yield* DELTAS as DeltaEvent[];
    allCame.resolve();
    await deferred().promise;
  });
  const store = new GenerationStore(client);
  const seen = follow(store);
  void store.generate(REQUEST);
  await allCame.promise;
  expect(seen).toEqual(["waiting"]);
  vi.advanceTimersByTime(1_000);
  expect(seen).toEqual(["waiting", "streaming"]);
  expect(store.getState().text).toBe(RESPONSE.text);
});

it("tells that it tries again, why, and after how long", async () => {
  const problems = [{ ...PROBLEM, retry_after: 0 }];
  const { url } = await startServer((_, response) => {
    const problem = problems.shift();
    if (problem !== undefined) return sendJson(response, 503, problem);
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const store = new GenerationStore(new PythonClient(url));
  const seen: GenerationState[] = [];
  store.subscribe(() => seen.push(store.getState()));
  await store.generate(REQUEST);
  expect(seen.filter(({ status }) => status === "waiting")).toEqual([
    { status: "waiting", text: "" },
    {
      status: "waiting",
      text: "",
      retrying: { error: expect.objectContaining({ code: "overloaded" }), number: 1, delayMs: expect.any(Number) },
    },
  ]);
  expect(store.getState().status).toBe("done");
});

it("tells of no retry after it was stopped", async () => {
  const { url } = await startServer((_, response) => sendJson(response, 503, PROBLEM));
  const store: GenerationStore = new GenerationStore(new PythonClient(url, { onRetry: () => store.stop() }));
  await store.generate(REQUEST);
  expect(store.getState()).toEqual({ status: "stopped", text: "" });
});

it("fails where an answer has an end and no beginning", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, [DONE]);
    response.end();
  });
  const store = new GenerationStore(new PythonClient(url));
  await store.generate(REQUEST);
  expect(store.getState()).toMatchObject({ status: "failed", error: { code: "upstream_protocol" } });
});

it("keeps the text that is here when it is stopped, and cancels the rest", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  const store = new GenerationStore(new PythonClient(url));
  const generated = store.generate(REQUEST);
  await until(store, ({ text }) => text === RESPONSE.text);
  store.stop();
  expect(store.getState()).toEqual({ status: "stopped", text: RESPONSE.text, start: START });
  await generated;
  await disconnected;
  expect(store.getState().status).toBe("stopped");
  store.stop();
  expect(store.getState().status).toBe("stopped");
});

it("shows why it failed, with the text so far, and generates the same again", async () => {
  let isUp = false;
  const { url } = await startServer((_, response) => {
    if (!isUp) sendJson(response, 502, { ...PROBLEM, status: 502, code: "worker_died" });
    else {
      startEventStream(response, WHOLE_STREAM);
      response.end();
    }
  });
  const store = new GenerationStore(new PythonClient(url, { maxRetries: 0 }));
  await store.retry();
  expect(store.getState().status).toBe("idle");
  await store.generate(REQUEST);
  const failed = store.getState();
  expect(failed.status === "failed" && failed.error).toMatchObject({ code: "worker_died" });
  isUp = true;
  await store.retry();
  expect(store.getState()).toMatchObject({ status: "done", text: RESPONSE.text });
});

it("says which model began what broke off", async () => {
  const { url } = await startServer((_, response) => {
    startEventStream(response, [START, ...DELTAS]);
    response.end();
  });
  const store = new GenerationStore(new PythonClient(url));
  await store.generate(REQUEST);
  expect(store.getState()).toMatchObject({ status: "failed", text: RESPONSE.text, start: START });
});

it("cancels what runs when something else is to be generated", async () => {
  const first = await startEndlessStream([START, ...DELTAS]);
  const store = new GenerationStore(new PythonClient(first.url));
  const abandoned = store.generate(REQUEST);
  await until(store, ({ text }) => text !== "");
  store.client = new PythonClient(await startWhole());
  await store.generate(REQUEST);
  await abandoned;
  await first.disconnected;
  expect(store.getState().status).toBe("done");
});

it("shows no event that comes after it was stopped, also one that was on its way", async () => {
  const delta = deferred();
  const client = new PythonClient("http://unused");
  client.streamText = tellingStream(async function* () {
    yield START as StartEvent;
    await delta.promise;
    yield DELTAS[0] as DeltaEvent;
  });
  const store = new GenerationStore(client);
  const generated = store.generate(REQUEST);
  await until(store, ({ status }) => status === "streaming");
  delta.resolve();
  store.stop();
  await generated;
  expect(store.getState()).toEqual({ status: "stopped", text: "", start: START });
});

it("tells by its status what there is", () => {
  type Of<Status> = Extract<GenerationState, { status: Status }>;
  expectTypeOf<Of<"done">["response"]["tokens_generated"]>().toBeNumber();
  expectTypeOf<Of<"failed">["error"]>().toEqualTypeOf<Error>();
  expectTypeOf<GenerationState["text"]>().toBeString();
});
