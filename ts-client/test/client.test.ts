import type { IncomingHttpHeaders } from "node:http";
import { expect, it } from "vitest";
import { ConnectionError, PythonClient } from "../src/index.js";
import { sendJson, startServer } from "./local-server.js";
import { REQUEST, RESPONSE } from "./wire.js";

async function startHeaderRecorder(): Promise<{ url: string; received: IncomingHttpHeaders[] }> {
  const received: IncomingHttpHeaders[] = [];
  const { url } = await startServer((request, response) => {
    received.push(request.headers);
    sendJson(response, 200, RESPONSE);
  });
  return { url, received };
}

it("sends its headers and its key with every request", async () => {
  const { url, received } = await startHeaderRecorder();
  const client = new PythonClient(url, { apiKey: "secret", headers: { "x-tenant": "a", accept: "text/plain" } });
  await client.generateText(REQUEST);
  expect(received).toEqual([
    expect.objectContaining({
      authorization: "Bearer secret",
      "x-tenant": "a",
      accept: "application/json",
      "content-type": "application/json",
    }),
  ]);
});

it("sends no authorization without a key", async () => {
  const { url, received } = await startHeaderRecorder();
  await new PythonClient(url).generateText(REQUEST);
  expect(received[0]).not.toHaveProperty("authorization");
});

it("takes a base URL with or without slashes at its end", async () => {
  const { url, received } = await startHeaderRecorder();
  await new PythonClient(`${url}//`).generateText(REQUEST);
  expect(received).toHaveLength(1);
  expect(new PythonClient(`${url}/`).baseUrl).toBe(url);
  expect(new PythonClient().baseUrl).toBe("http://localhost:8000");
});

it("calls the fetch that it is given, also one that fails before it returns a promise", async () => {
  const urls: unknown[] = [];
  const client = new PythonClient("/api", {
    maxRetries: 0,
    fetch: (input) => {
      urls.push(input);
      throw new TypeError("no network here");
    },
  });
  await expect(client.generateText(REQUEST)).rejects.toBeInstanceOf(ConnectionError);
  expect(urls).toEqual(["/api/generate"]);
});
