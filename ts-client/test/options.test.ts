import { expect, expectTypeOf, it, vi } from "vitest";
import { isApiError, PythonClient, type StandardSchema } from "../src/index.js";
import { sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, REQUEST, RESPONSE, WHOLE_STREAM } from "./wire.js";

it("sends the headers of a call in place of the client's", async () => {
  const received: unknown[] = [];
  const { url } = await startServer((request, response) => {
    received.push([request.headers["x-user"], request.headers["x-tenant"], request.headers["idempotency-key"]]);
    sendJson(response, 200, RESPONSE);
  });
  const client = new PythonClient(url, { headers: { "x-user": "all", "x-tenant": "a" } });
  await client.generateText(REQUEST, { headers: { "X-User": "one" }, idempotencyKey: "k" });
  expect(received).toEqual([["one", "a", "k"]]);
});

it("shows each attempt before it is made, and the head of its answer", async () => {
  const { url } = await startServer((request, response) => {
    sendJson(response, request.headers["x-trace"] === "1" ? 200 : 503, { ...PROBLEM, retry_after: 0, ...RESPONSE });
  });
  const seen: unknown[] = [];
  const client = new PythonClient(url, {
    onRequest: ({ number }, headers) => headers.set("x-trace", String(number)),
    onResponse: (attempt, response) => seen.push([attempt.url, attempt.number, response.status]),
  });
  await client.generateText(REQUEST);
  expect(seen).toEqual([
    [`${url}/generate`, 0, 503],
    [`${url}/generate`, 1, 200],
  ]);
});

it("tells whether the default model can answer now, without another attempt", async () => {
  const statuses = [200, 503, 200];
  const { url } = await startServer((request, response) => {
    const status = request.url === "/readyz" ? (statuses.shift() ?? 500) : 404;
    sendJson(response, status, status === 200 ? { status: "ok" } : { ...PROBLEM, code: "model_not_ready" });
  });
  const client = new PythonClient(url);
  expect(await client.health()).toEqual({ status: "ok" });
  expect(await caught(client.health())).toMatchObject({ code: "model_not_ready" });
});

function only<Value>(accepts: (value: unknown) => boolean): StandardSchema<Value> {
  return {
    "~standard": {
      validate: async (value) =>
        accepts(value) ? { value: value as Value } : { issues: [{ message: "generation_time: expected a number" }] },
    },
  };
}

it("checks what the gateway sends by the schemas that it is given", async () => {
  const { url } = await startServer((request, response) => {
    if (request.url === "/generate") sendJson(response, 200, RESPONSE);
    else {
      startEventStream(response, WHOLE_STREAM);
      response.end();
    }
  });
  const accepting = new PythonClient(url, { schemas: { response: only(() => true), event: only(() => true) } });
  expect(await accepting.generateText(REQUEST)).toEqual(RESPONSE);
  expect(await collect(accepting.streamText(REQUEST))).toEqual(WHOLE_STREAM);

  const refusing = new PythonClient(url, { schemas: { response: only(() => false), event: only(() => false) } });
  for (const call of [() => refusing.generateText(REQUEST), () => collect(refusing.streamText(REQUEST))]) {
    const error = await caught(call());
    expect(isApiError(error) && [error.code, error.detail]).toEqual([
      "upstream_protocol",
      "the answer is not the gateway's: generation_time: expected a number",
    ]);
  }
});

it("knows the errors of another copy of the package, and no other errors", async () => {
  vi.resetModules();
  const copy = await import("../src/index.js");
  const errors = [
    [isApiError, new copy.ApiError(PROBLEM)],
    [copy.isTimeoutError, new copy.TimeoutError("idleMs", 1)],
    [copy.isStreamTruncatedError, new copy.StreamTruncatedError("")],
    [copy.isConnectionError, new copy.ConnectionError("/")],
  ] as const;
  expect(copy.isApiError).not.toBe(isApiError);
  for (const [isOfItsKind, error] of errors) {
    expect(isOfItsKind(error)).toBe(true);
    for (const [, other] of errors) if (other !== error) expect(isOfItsKind(other)).toBe(false);
    for (const other of [undefined, null, "ApiError", {}, new Error("ApiError")])
      expect(isOfItsKind(other)).toBe(false);
  }
  const thrown: unknown = new copy.ApiError(PROBLEM);
  if (isApiError(thrown)) expectTypeOf(thrown.code).not.toBeAny();
});
