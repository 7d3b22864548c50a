import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import { createGenerateRoute } from "../src/next.js";
import { ask, clientOf, startGateway } from "./asked-route.js";
import { deferred } from "./deferred.js";
import { closedUrl, readBody, sendJson, startEndlessStream, startServer } from "./local-server.js";
import { caught, collect, DELTAS, encodeEvents, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

it("hands the gateway's stream on as it comes, in a form that nobody buffers", async () => {
  const received = deferred();
  const { url } = await startServer(async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "77", server: "secret" });
    response.write(encodeEvents([START]));
    await received.promise;
    response.end(encodeEvents(WHOLE_STREAM.slice(1)));
  });
  const route = createGenerateRoute({ baseUrl: url });
  const client = clientOf(route);
  const types: string[] = [];
  for await (const event of client.streamText(REQUEST)) {
    types.push(event.type);
    received.resolve();
  }
  expect(types).toEqual(["start", "delta", "delta", "done"]);
  const response = await route(ask());
  expect(Object.fromEntries(response.headers)).toEqual({
    "cache-control": "no-store, no-transform",
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",
    "x-request-id": "77",
  });
  await response.body?.cancel();
});

it("hands a failure on with its status, problem and request id", async () => {
  const { url } = await startServer((_, response) => {
    response.setHeader("retry-after", "7").setHeader("x-request-id", "4b1f");
    sendJson(response, 503, PROBLEM, "application/problem+json");
  });
  const response = await createGenerateRoute({ baseUrl: url })(ask());
  expect([response.status, await response.json()]).toEqual([503, PROBLEM]);
  expect([response.headers.get("retry-after"), response.headers.get("x-request-id")]).toEqual(["7", "4b1f"]);
});

it("keeps the key on the server, and of a page's headers sends only what the gateway is to know", async () => {
  const seen: IncomingHttpHeaders[] = [];
  const { url } = await startServer(async (request, response) => {
    seen.push(request.headers);
    sendJson(response, 200, { ...RESPONSE, asked: await readBody(request) });
  });
  const route = createGenerateRoute({
    baseUrl: `${url}/`,
    apiKey: "secret",
    headers: async (request) => ({ "x-user": request.headers.get("cookie") ?? "" }),
  });
  const headers = { cookie: "ada", authorization: "Bearer mine", "x-user": "eve", "x-request-id": "7" };
  const response = await route(ask(undefined, headers, { path: "/generate" }));
  expect(await response.json()).toMatchObject({ asked: JSON.stringify(REQUEST) });
  expect(seen[0]).toMatchObject({ authorization: "Bearer secret", "x-user": "ada", "x-request-id": "7" });
  expect(seen[0]).not.toHaveProperty("cookie");
});

it("lets the gateway refuse what another site's form can send", async () => {
  const { url } = await startServer((request, response) => {
    const isJson = request.headers["content-type"] === "application/json";
    sendJson(response, isJson ? 200 : 415, RESPONSE);
  });
  const route = createGenerateRoute({ baseUrl: url });
  expect((await route(ask())).status).toBe(200);
  expect((await route(ask(undefined, { "content-type": "text/plain" }))).status).toBe(415);
});

it("cancels at the gateway what its page has left", async () => {
  const { url, disconnected } = await startEndlessStream([START, ...DELTAS]);
  const controller = new AbortController();
  const response = await createGenerateRoute({ baseUrl: url })(ask(undefined, {}, { signal: controller.signal }));
  await response.body?.getReader().read();
  controller.abort();
  await disconnected;
});

it("cancels also when the page leaves before an answer has begun", async () => {
  const left = deferred();
  const controller = new AbortController();
  const { url } = await startServer((_, response) => {
    response.on("close", left.resolve);
    controller.abort();
  });
  const response = await createGenerateRoute({ baseUrl: url })(ask(undefined, {}, { signal: controller.signal }));
  expect(response.status).toBe(499);
  await left.promise;
});

it("says like the gateway that the gateway is not there", async () => {
  const heard: unknown[] = [];
  const route = createGenerateRoute({ baseUrl: await closedUrl(), onError: (error) => heard.push(error) });
  const client = clientOf(route, { maxRetries: 0 });
  await expect(collect(client.streamText(REQUEST))).rejects.toMatchObject({
    code: "upstream_unavailable",
    retryable: true,
    retryAfter: 5,
  });
  expect(heard).toEqual([expect.any(TypeError)]); // fetch's own, with the reason for who runs the server
});

it("sends no body on that is longer than it may be", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    sendJson(response, 200, RESPONSE);
  });
  const route = createGenerateRoute({ baseUrl: url, maxBodyBytes: 10 });
  expect(await (await route(ask("x".repeat(11)))).json()).toMatchObject({ status: 413, code: "payload_too_large" });
  expect(requests).toBe(0);
  expect((await route(ask("x".repeat(10)))).status).toBe(200);
});

it("stands for all of a gateway that a client calls, from one file", async () => {
  const { url, asked } = await startGateway();
  const client = clientOf(createGenerateRoute({ baseUrl: url }));
  expect(await client.generateText(REQUEST)).toEqual(RESPONSE);
  expect(await collect(client.streamText(REQUEST))).toEqual(WHOLE_STREAM);
  expect(await client.generateBatch([REQUEST, REQUEST])).toEqual([RESPONSE, PROBLEM]);
  expect(await client.models()).toEqual({ models: [] });
  expect(await client.health()).toEqual({ status: "ok" });
  expect(asked.map(([address]) => address)).toEqual([
    "POST /generate",
    "POST /generate/stream",
    "POST /generate/batch",
    "GET /models",
    "GET /readyz",
  ]);
});

it.each([
  ["GET", "/metrics", 404, "not_found"],
  ["GET", "/openapi.json", 404, "not_found"],
  ["POST", "/v1/completions", 404, "not_found"],
  ["GET", "/generate", 405, "method_not_allowed"],
  ["POST", "/models", 405, "method_not_allowed"],
])("hands no %s %s on", async (method, path, status, code) => {
  const { url, asked } = await startGateway();
  const response = await createGenerateRoute({ baseUrl: url })(new Request(`http://page/api${path}`, { method }));
  expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ status, code })]);
  expect(asked).toEqual([]);
});

it("stands only for the paths that it is given", async () => {
  const { url, asked } = await startGateway();
  const client = clientOf(createGenerateRoute({ baseUrl: url, paths: ["/generate"] }), { maxRetries: 0 });
  await client.generateText(REQUEST);
  expect(await caught(client.models())).toMatchObject({ code: "not_found" });
  expect(asked).toHaveLength(1);
});

it("leaves it to the page's client to try again", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
  });
  const client = clientOf(createGenerateRoute({ baseUrl: url }), { maxRetries: 2 });
  expect(await caught(client.models())).toMatchObject({ code: "overloaded" });
  expect(requests).toBe(3);
});

it("hands the context of a trace on, and nobody's cookies", async () => {
  const { url, asked } = await startGateway();
  const trace = { traceparent: "00-1-2-01", tracestate: "a=1", baggage: "user=ada" };
  await createGenerateRoute({ baseUrl: url })(ask(undefined, { ...trace, cookie: "session=1" }));
  expect(asked[0]?.[2]).toMatchObject(trace);
  expect(asked[0]?.[2]).not.toHaveProperty("cookie");
});

it("asks for its key for each request", async () => {
  const { url, asked } = await startGateway();
  const keys = ["first", "second", ""];
  const route = createGenerateRoute({ baseUrl: url, apiKey: async () => keys.shift() ?? "" });
  for (let number = 0; number < 3; number += 1) await route(ask());
  expect(asked.map(([, , { authorization }]) => authorization)).toEqual(["Bearer first", "Bearer second", undefined]);
});

it("answers a request whose body breaks off", async () => {
  const { url, asked } = await startGateway();
  const body = new ReadableStream({
    start: (controller) => controller.error(new Error("the connection is gone")),
  });
  const broken = new Request("http://page/api/generate", { method: "POST", body, duplex: "half" } as RequestInit);
  expect((await createGenerateRoute({ baseUrl: url })(broken)).status).toBe(400);
  expect(asked).toEqual([]);
});

describe("a page", () => {
  it.each([
    ["its own, as a browser says", { "sec-fetch-site": "same-origin", origin: "https://page" }, 200],
    ["none, as its address typed in", { "sec-fetch-site": "none" }, 200],
    ["of another site", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }, 403],
    ["of the same site's other host", { "sec-fetch-site": "same-site", origin: "https://blog.page" }, 403],
    ["that is allowed, of another site", { "sec-fetch-site": "cross-site", origin: "https://friend.example" }, 200],
    ["its own, of a browser that says the origin only", { origin: "http://page" }, 200],
    ["of another site, of such a browser", { origin: "https://evil.example" }, 403],
    ["of no site, of such a browser", { origin: "null" }, 403],
    [
      "its own, behind a proxy",
      { origin: "https://app.example.com", "x-forwarded-host": "app.example.com, page" },
      200,
    ],
    ["none at all", {}, 200],
  ])("is %s", async (_, headers, status) => {
    const { url, asked } = await startGateway();
    const route = createGenerateRoute({ baseUrl: url, allowedOrigins: ["https://friend.example"] });
    expect((await route(ask(undefined, headers))).status).toBe(status);
    expect(asked).toHaveLength(status === 200 ? 1 : 0);
  });
});
