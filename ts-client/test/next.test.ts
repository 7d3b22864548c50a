import type { IncomingHttpHeaders } from "node:http";
import { expect, it } from "vitest";
import { PythonClient } from "../src/index.js";
import { createGenerateRoute } from "../src/next.js";
import { deferred } from "./deferred.js";
import { closedUrl, readBody, sendJson, startEndlessStream, startServer } from "./local-server.js";
import { collect, DELTAS, encodeEvents, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

function ask(
  body: BodyInit = JSON.stringify(REQUEST),
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Request {
  const init = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
  return new Request("http://page/api/generate/stream", signal === undefined ? init : { ...init, signal });
}

it("hands the gateway's stream on as it comes, in a form that nobody buffers", async () => {
  const received = deferred();
  const { url } = await startServer(async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "77", server: "secret" });
    response.write(encodeEvents([START]));
    await received.promise;
    response.end(encodeEvents(WHOLE_STREAM.slice(1)));
  });
  const route = createGenerateRoute({ baseUrl: url });
  // The client takes the route for a gateway, as a page does.
  const client = new PythonClient("/api", { fetch: async (_, init) => route(new Request("http://page/", init)) });
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
    path: "/generate",
    apiKey: "secret",
    headers: async (request) => ({ "x-user": request.headers.get("cookie") ?? "" }),
  });
  const headers = { cookie: "ada", authorization: "Bearer mine", "x-user": "eve", "x-request-id": "7" };
  const response = await route(ask(undefined, headers));
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
  const response = await createGenerateRoute({ baseUrl: url })(ask(undefined, {}, controller.signal));
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
  const response = await createGenerateRoute({ baseUrl: url })(ask(undefined, {}, controller.signal));
  expect(response.status).toBe(499);
  await left.promise;
});

it("says like the gateway that the gateway is not there", async () => {
  const route = createGenerateRoute({ baseUrl: await closedUrl() });
  const client = new PythonClient("/api", {
    maxRetries: 0,
    fetch: async (_, init) => route(new Request("http://page/", init)),
  });
  await expect(collect(client.streamText(REQUEST))).rejects.toMatchObject({
    code: "upstream_unavailable",
    retryable: true,
    retryAfter: 5,
  });
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
