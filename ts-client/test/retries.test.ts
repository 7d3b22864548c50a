import { getEventListeners } from "node:events";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, ConnectionError, PythonClient, TimeoutError } from "../src/index.js";
import { retryDelay } from "../src/retry.js";
import { closedUrl, sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

afterEach(() => void vi.useRealTimers());

const AT_ONCE = { ...PROBLEM, retry_after: 0 };

/** Answers with these statuses, one after the other, and then well. */
async function startFailing(...statuses: number[]): Promise<{ url: string; seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    seen.push(request.headers["idempotency-key"] as string | undefined);
    const status = statuses.shift();
    if (status !== undefined) sendJson(response, status, { ...AT_ONCE, status, retryable: status !== 422 });
    else if (request.url === "/generate/stream") {
      startEventStream(response, WHOLE_STREAM);
      response.end();
    } else sendJson(response, 200, RESPONSE);
  });
  return { url, seen };
}

it("tries a failure again that may pass, with the same key, and tells of it", async () => {
  const { url, seen } = await startFailing(503, 502);
  const retries: unknown[] = [];
  const client = new PythonClient(url, {
    onRetry: ({ number }, error) => retries.push([number, error instanceof ApiError && error.status]),
  });
  expect(await client.generateText(REQUEST, { idempotencyKey: "once" })).toEqual(RESPONSE);
  expect(seen).toEqual(["once", "once", "once"]);
  expect(retries).toEqual([
    [0, 503],
    [1, 502],
  ]);
});

it("tries a stream again that has failed before its first event", async () => {
  const { url, seen } = await startFailing(503);
  expect(await collect(new PythonClient(url).streamText(REQUEST))).toEqual(WHOLE_STREAM);
  expect(seen).toHaveLength(2);
});

it("gives up after as many retries as it may make, with the last failure", async () => {
  const { url, seen } = await startFailing(503, 503, 502, 503);
  expect(await caught(new PythonClient(url).generateText(REQUEST))).toMatchObject({ status: 502 });
  expect(seen).toHaveLength(3);
});

it("does not try again what would fail again", async () => {
  const { url, seen } = await startFailing(422);
  expect(await caught(new PythonClient(url).generateText(REQUEST))).toMatchObject({ status: 422 });
  expect(seen).toHaveLength(1);
});

it("does not try a stream again after an event", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    startEventStream(response, [START]);
    response.end();
  });
  expect(await caught(collect(new PythonClient(url).streamText(REQUEST)))).toHaveProperty(
    "name",
    "StreamTruncatedError",
  );
  expect(requests).toBe(1);
});

it("tells a caller at once who would have to wait longer than a minute", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    sendJson(response, 503, { ...PROBLEM, retry_after: 3_600 });
  });
  expect(await caught(new PythonClient(url).generateText(REQUEST))).toMatchObject({ retryAfter: 3_600 });
  expect(requests).toBe(1);
});

it.each([
  [0, 1],
  [1, 2],
])("makes %s retries where its caller says so", async (maxRetries, requests) => {
  const { url, seen } = await startFailing(503, 503, 503);
  const retries: string[] = [];
  const client = new PythonClient(url, { maxRetries: 5, onRetry: () => retries.push("client's") });
  const options = { maxRetries, onRetry: () => retries.push("call's") };
  expect(await caught(client.generateText(REQUEST, options))).toMatchObject({ status: 503 });
  expect(seen).toHaveLength(requests);
  expect(retries).toEqual(maxRetries === 0 ? [] : ["client's", "call's"]);
});

it("tries again what no network carried", async () => {
  const errors: Error[] = [];
  const client = new PythonClient(await closedUrl(), { maxRetries: 1, onRetry: (_, error) => errors.push(error) });
  expect(await caught(client.models())).toBeInstanceOf(ConnectionError);
  expect(errors).toHaveLength(1);
});

it.each([
  ["before", (abort: () => void) => abort()],
  ["during", (abort: () => void) => setImmediate(abort)],
])("makes no other attempt when the caller aborts %s the wait for it", async (_, when) => {
  vi.useFakeTimers({ toFake: ["setTimeout"] }); // so the wait has no end of its own
  const { url, seen } = await startFailing(503, 503);
  const controller = new AbortController();
  const attempts: number[] = [];
  const client = new PythonClient(url, {
    onRequest: ({ number }) => attempts.push(number),
    onRetry: () => when(() => controller.abort("enough")),
  });
  expect(await caught(client.generateText(REQUEST, { signal: controller.signal }))).toBe("enough");
  expect([attempts, seen.length]).toEqual([[0], 1]);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

describe("retryDelay", () => {
  it.each([
    [null, 0, 500],
    [null, 2, 2_000],
    [null, 20, 8_000],
    [7, 0, 7_500],
    [60, 0, 60_500],
  ])("waits for a Retry-After of %s s and up to a random time after %s retries", (retryAfter, retries, most) => {
    const error = new ApiError({ ...PROBLEM, retry_after: retryAfter });
    vi.spyOn(Math, "random").mockReturnValue(1);
    expect(retryDelay(error, retries)).toBe(most);
    vi.spyOn(Math, "random").mockReturnValue(0);
    expect(retryDelay(error, retries)).toBe((retryAfter ?? 0) * 1_000);
  });

  it.each([
    ["a failure that stays", new ApiError({ ...PROBLEM, retryable: false })],
    ["a timeout, after which the first request may still run", new TimeoutError("headersMs", 1)],
    ["a failure that lasts longer than a caller waits", new ApiError({ ...PROBLEM, retry_after: 61 })],
    ["a bug", new TypeError("?")],
  ])("is none for %s", (_, error) => {
    expect(retryDelay(error, 0)).toBeUndefined();
  });
});
