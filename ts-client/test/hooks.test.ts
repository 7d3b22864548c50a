import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import { PythonClient, type PythonClientOptions } from "../src/index.js";
import { deferred } from "./deferred.js";
import { sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, REQUEST, RESPONSE, WHOLE_STREAM } from "./wire.js";

async function startGateway(): Promise<{ url: string; received: IncomingHttpHeaders[] }> {
  const received: IncomingHttpHeaders[] = [];
  const { url } = await startServer((request, response) => {
    received.push(request.headers);
    if (request.url === "/generate") return sendJson(response, 200, RESPONSE);
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  return { url, received };
}

/** What comes later than the network can. */
async function later(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const CALLS = [
  ["generateText", (client: PythonClient) => client.generateText(REQUEST)],
  ["streamText", (client: PythonClient) => collect(client.streamText(REQUEST))],
] as const;

describe.each(CALLS)("%s", (_, call) => {
  it("sends what a hook has set after a while", async () => {
    const { url, received } = await startGateway();
    const onRequest = async (_attempt: object, headers: Headers): Promise<void> => {
      await later();
      headers.set("x-token", "fresh");
    };
    await call(new PythonClient(url, { onRequest }));
    expect(received[0]).toMatchObject({ "x-token": "fresh" });
  });

  it.each(["onRequest", "onResponse", "onRetry"])(
    "fails with what %s fails with, and tries nothing again",
    async (hook) => {
      let requests = 0;
      const { url } = await startServer((_request, response) => {
        requests += 1;
        sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
      });
      const failure = new Error("no token to be had");
      for (const fail of [
        () => {
          throw failure;
        },
        async () => {
          await later();
          throw failure;
        },
      ]) {
        expect(await caught(call(new PythonClient(url, { [hook]: fail })))).toBe(failure);
      }
      expect(requests).toBe(hook === "onRequest" ? 0 : 2);
    },
  );

  it("lets a hook read nothing of an answer that it would take from its caller", async () => {
    const { url } = await startGateway();
    const seen: unknown[] = [];
    const client = new PythonClient(url, {
      onResponse: (_attempt, head) => {
        seen.push(Object.keys(head));
        head.headers.set("content-type", "text/html");
      },
    });
    await call(client);
    expect(seen).toEqual([["status", "headers", "requestId"]]);
  });

  it("asks for its key before each attempt", async () => {
    const received: unknown[] = [];
    const { url } = await startServer((request, response) => {
      received.push(request.headers.authorization);
      if (received.length === 1) return sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
      if (request.url === "/generate") return sendJson(response, 200, RESPONSE);
      startEventStream(response, WHOLE_STREAM);
      response.end();
    });
    const keys = ["first", "second"];
    const apiKey = async (): Promise<string> => {
      await later();
      return keys.shift() ?? "";
    };
    await call(new PythonClient(url, { apiKey }));
    expect(received).toEqual(["Bearer first", "Bearer second"]);
  });
});

it("does not wait for a hook when it is aborted", async () => {
  const { url } = await startGateway();
  const controller = new AbortController();
  const onRequest = (): Promise<void> => {
    controller.abort("enough");
    return deferred().promise;
  };
  const client = new PythonClient(url, { onRequest });
  const aborted = client.generateText(REQUEST, { signal: controller.signal });
  expect(await caught(aborted)).toBe("enough");
});

it("fails with what its key fails with", async () => {
  const failure = new Error("no key to be had");
  const apiKey = (): Promise<string> => Promise.reject(failure);
  expect(await caught(new PythonClient("http://unused", { apiKey }).models())).toBe(failure);
});

it.each<[string, PythonClientOptions]>([
  ["empty", { apiKey: "" }],
  ["a function that has none", { apiKey: () => "" }],
])("sends no authorization where the key is %s", async (_, options) => {
  const { url, received } = await startGateway();
  await new PythonClient(url, options).generateText(REQUEST);
  expect(received[0]).not.toHaveProperty("authorization");
});

it("shows no secret of a header that cannot be sent", async () => {
  const error = await caught(new PythonClient("http://unused", { apiKey: "line 1\nline 2" }).models());
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toContain("authorization");
  expect(String(error)).not.toContain("line");
});

it("writes each answer and each retry to its logger, and no secrets", async () => {
  const statuses = [503, 200];
  const { url } = await startServer((_, response) => {
    response.setHeader("x-request-id", `request-${statuses.length}`);
    const status = statuses.shift() ?? 500;
    sendJson(response, status, status === 200 ? RESPONSE : { ...PROBLEM, retry_after: 0 });
  });
  const written: unknown[] = [];
  const logger = {
    debug: (message: string, facts: object) => written.push(["debug", message, facts]),
    warn: (message: string, facts: object) => written.push(["warn", message, facts]),
  };
  await new PythonClient(url, { logger, apiKey: "secret" }).generateText(REQUEST);
  const answer = { url: `${url}/generate`, ms: expect.any(Number) };
  expect(written).toEqual([
    ["debug", "torchbridge: answer", { ...answer, number: 0, status: 503, requestId: "request-2" }],
    ["warn", "torchbridge: trying again", expect.objectContaining({ number: 0, error: expect.any(Error) })],
    ["debug", "torchbridge: answer", { ...answer, number: 1, status: 200, requestId: "request-1" }],
  ]);
  expect(JSON.stringify(written)).not.toMatch(/secret|Hello/);
});
