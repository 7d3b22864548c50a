import { inspect } from "node:util";
import { build } from "rolldown";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createTorchbridge, torchbridge } from "../src/ai-sdk.js";
import { PythonClient } from "../src/index.js";
import { createGenerateRoute } from "../src/next.js";
import { ask } from "./asked-route.js";
import { closedUrl, sendJson, startServer } from "./local-server.js";
import { caught, PROBLEM, REQUEST, RESPONSE } from "./wire.js";

beforeEach(() => void vi.stubEnv("TORCHBRIDGE_API_KEY", "of-the-environment"));
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

async function startKeyRecorder(status = 200): Promise<{ url: string; keys: (string | undefined)[] }> {
  const keys: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    keys.push(request.headers.authorization);
    sendJson(response, status, status === 200 ? RESPONSE : { ...PROBLEM, status, retryable: false });
  });
  return { url, keys };
}

it("sends the environment's key where it is given none", async () => {
  const { url, keys } = await startKeyRecorder();
  await new PythonClient(url).generateText(REQUEST);
  await new PythonClient(url, { apiKey: undefined }).generateText(REQUEST);
  await new PythonClient(url, { apiKey: "given" }).generateText(REQUEST);
  await new PythonClient(url, { apiKey: "" }).generateText(REQUEST);
  vi.stubEnv("TORCHBRIDGE_API_KEY", "");
  await new PythonClient(url).generateText(REQUEST);
  const own = "Bearer of-the-environment";
  expect(keys).toEqual([own, own, "Bearer given", undefined, undefined]);
});

it("lets an authorization among the headers win", async () => {
  const { url, keys } = await startKeyRecorder();
  const headers = { Authorization: "Basic abc" };
  await new PythonClient(url, { headers }).generateText(REQUEST);
  await new PythonClient(url, { headers, apiKey: "given" }).generateText(REQUEST);
  await new PythonClient(url, { apiKey: "given" }).generateText(REQUEST, { headers });
  const route = createGenerateRoute({ baseUrl: url, headers: () => headers });
  await route(ask(undefined, {}, { path: "/generate" }));
  expect(keys).toEqual(Array(4).fill("Basic abc"));
});

it("sends it from a route, and for the AI SDK", async () => {
  const { url, keys } = await startKeyRecorder(401);
  await createGenerateRoute({ baseUrl: url })(ask(undefined, { authorization: "Bearer of-a-page" }));
  vi.stubEnv("TORCHBRIDGE_BASE_URL", url);
  for (const model of [torchbridge("tiny"), createTorchbridge({ baseUrl: url })("tiny")]) {
    const error = await caught(Promise.resolve(model.doGenerate({ prompt: [] })));
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain("of-the-environment");
  }
  expect(keys).toEqual(Array(3).fill("Bearer of-the-environment"));
});

it("asks a function for the key before each attempt", async () => {
  const keys: unknown[] = [];
  const { url } = await startServer((request, response) => {
    keys.push(request.headers.authorization);
    sendJson(response, keys.length === 1 ? 503 : 200, { ...RESPONSE, ...PROBLEM, retry_after: 0 });
  });
  let number = 0;
  await new PythonClient(url, { apiKey: async () => `key-${++number}` }).generateText(REQUEST);
  expect(keys).toEqual(["Bearer key-1", "Bearer key-2"]);
});

it("reads no key in a page, whatever its bundler has put in place of an environment", async () => {
  const headers: Headers[] = [];
  vi.stubGlobal("location", new URL("https://app.example.com/story"));
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    headers.push(new Headers(init.headers));
    return Response.json({ models: [] });
  });
  await new PythonClient().models();
  expect(headers.map((sent) => sent.get("authorization"))).toEqual([null]);
});

it.each([
  ["that is given", { apiKey: "secret-key" }, ""],
  ["of the environment", {}, "secret-key"],
  ["that no header can carry", { apiKey: "secret-key\nx" }, ""],
])("shows no key %s in a client, or in what it throws", async (_, options, inEnvironment) => {
  vi.stubEnv("TORCHBRIDGE_API_KEY", inEnvironment);
  const client = new PythonClient(await closedUrl(), { ...options, maxRetries: 0 });
  const error = await caught(client.generateText(REQUEST));
  for (const shown of [client, error]) {
    expect(inspect(shown, { depth: null, showHidden: true, getters: true })).not.toContain("secret-key");
    expect(JSON.stringify(shown)).not.toContain("secret-key");
  }
});

it("leaves no place in a page's code where a bundler puts the key", async () => {
  const key = JSON.stringify("secret-key");
  const define = { "process.env.TORCHBRIDGE_API_KEY": key, "globalThis.process.env.TORCHBRIDGE_API_KEY": key };
  const input = new URL("../src/index.ts", import.meta.url).pathname;
  const { output } = await build({ input, platform: "browser", transform: { define }, write: false });
  expect(output[0].code).toContain("TORCHBRIDGE_API_KEY");
  expect(output[0].code).not.toContain("secret-key");
});
