import { expect, expectTypeOf, it } from "vitest";
import { chat } from "../src/chat.js";
import { ApiError, ConnectionError, type GenerationResponse, PythonClient } from "../src/index.js";
import { closedUrl, readBody, sendJson, startServer } from "./local-server.js";
import { caught, PROBLEM, REQUEST, RESPONSE } from "./wire.js";

it("runs the snippet of the guide", async () => {
  const prompt = "Once upon a time";
  const bodies: string[] = [];
  const server = await startServer(async (request, response) => {
    bodies.push(`${request.method} ${request.url} ${await readBody(request)}`);
    sendJson(response, 200, RESPONSE);
  });

  const client = new PythonClient(server.url, { maxRetries: 0 });
  const r = await client.generateText({ prompt, max_length: 100, temperature: 0.7 });

  expect([r.text, r.tokens_generated, r.generation_time]).toEqual([RESPONSE.text, 2, 0.25]);
  expect(bodies).toEqual(['POST /generate {"prompt":"Once upon a time","max_length":100,"temperature":0.7}']);
  expectTypeOf(r).toEqualTypeOf<GenerationResponse>();
});

it.each([Number.NaN, Number.POSITIVE_INFINITY])(
  "sends no %s, which JSON would have as null: a default",
  async (seed) => {
    const server = await startServer((_, response) => sendJson(response, 200, RESPONSE));
    const client = new PythonClient(server.url);
    const refusals = [
      caught(client.generateText({ ...REQUEST, seed })),
      caught(client.generateBatch([REQUEST, { ...REQUEST, seed }])),
      caught(chat(client, { messages: [], seed })),
    ];
    for (const error of await Promise.all(refusals)) {
      expect(error).toEqual(new TypeError(`seed is ${seed}, which is no number of JSON`));
    }
    expect(server.connections).toBe(0);
  },
);

it("throws an ApiError that carries the problem", async () => {
  const server = await startServer((_, response) => sendJson(response, 503, PROBLEM, "application/problem+json"));
  const error = await caught(new PythonClient(server.url, { maxRetries: 0 }).generateText(REQUEST));
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ message: `API error: ${PROBLEM.detail}`, code: "overloaded", problem: PROBLEM });
});

it("throws an ApiError when a proxy answers in place of the gateway", async () => {
  const server = await startServer((_, response) => {
    response.writeHead(502, { "content-type": "text/html" });
    response.end("<html><h1>502 Bad Gateway</h1></html>");
  });
  const error = await caught(new PythonClient(server.url, { maxRetries: 0 }).generateText(REQUEST));
  expect(error).toMatchObject({
    message: "API error: HTTP 502 Bad Gateway",
    code: "upstream_protocol",
    retryable: true,
  });
});

it.each(["<html>Please log in</html>", '{"status": "ok"}'])(
  "throws an ApiError when the answer is %s",
  async (body) => {
    const server = await startServer((_, response) => response.end(body));
    const error = await caught(new PythonClient(server.url, { maxRetries: 0 }).generateText(REQUEST));
    expect(error).toMatchObject({ name: "ApiError", code: "upstream_protocol", status: 200 });
    expect(error).toHaveProperty("message", expect.stringContaining(body));
  },
);

it("throws a ConnectionError with the address and the cause when nobody listens", async () => {
  const url = await closedUrl();
  const error = await caught(new PythonClient(url).generateText(REQUEST));
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({ url: `${url}/generate`, cause: expect.any(TypeError) });
  expect(error).toHaveProperty("message", expect.stringContaining(url));
});

it("throws a ConnectionError when the connection breaks within the answer", async () => {
  const server = await startServer((_, response) => {
    response.writeHead(200, { "content-length": 1_000 });
    response.write('{"text":', () => response.destroy());
  });
  await expect(new PythonClient(server.url, { maxRetries: 0 }).generateText(REQUEST)).rejects.toBeInstanceOf(
    ConnectionError,
  );
});

it("throws an ApiError with the status when the connection breaks within the body of a failure", async () => {
  const server = await startServer((_, response) => {
    response.writeHead(503, { "content-length": 1_000 });
    response.write('{"detail":', () => response.destroy());
  });
  await expect(new PythonClient(server.url, { maxRetries: 0 }).generateText(REQUEST)).rejects.toMatchObject({
    name: "ApiError",
    status: 503,
  });
});
