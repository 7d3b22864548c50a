import { expect, it } from "vitest";
import { isStreamTruncatedError, PythonClient, responseHead } from "../src/index.js";
import { sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM } from "./wire.js";

/** Answers each request with an id of its own. */
async function startGateway(): Promise<PythonClient> {
  let number = 0;
  const { url } = await startServer((request, response) => {
    number += 1;
    response.setHeader("x-request-id", `request-${number}`).setHeader("cache-status", "torchbridge; hit");
    switch (request.url) {
      case "/generate":
        return sendJson(response, 200, RESPONSE);
      case "/generate/batch":
        return sendJson(response, 200, { results: [RESPONSE, PROBLEM] });
      case "/models":
        return sendJson(response, 200, { models: [] });
      case "/readyz":
        return sendJson(response, 200, { status: "ok" });
      default:
        startEventStream(response, WHOLE_STREAM);
        response.end();
    }
  });
  return new PythonClient(url);
}

it("tells the request id and the headers of every success", async () => {
  const client = await startGateway();
  const results = [
    await client.generateText(REQUEST),
    await client.generateText(REQUEST),
    await client.generateBatch([REQUEST, REQUEST]),
    await client.models(),
    await client.health(),
  ];
  expect(results.map((result) => responseHead(result)?.requestId)).toEqual(
    results.map((_, index) => `request-${index + 1}`),
  );
  const [answer = {}] = results;
  expect(responseHead(answer)).toMatchObject({ status: 200 });
  expect(responseHead(answer)?.headers.get("cache-status")).toBe("torchbridge; hit");
  expect(answer).toEqual(RESPONSE);
});

it("tells them of the start and the end of a stream", async () => {
  const client = await startGateway();
  const seen: unknown[] = [];
  for await (const event of client.streamText(REQUEST)) {
    if (event.type !== "delta") seen.push([event.type, responseHead(event)?.requestId]);
  }
  expect(seen).toEqual([
    ["start", "request-1"],
    ["done", "request-1"],
  ]);
});

it("tells them of what failed after an answer had begun", async () => {
  const { url } = await startServer((request, response) => {
    response.setHeader("x-request-id", "77");
    if (request.url === "/generate") sendJson(response, 200, { is: "not an answer" });
    else {
      startEventStream(response, [START]);
      response.end();
    }
  });
  const client = new PythonClient(url, { maxRetries: 0 });
  const truncated = await caught(
    (async () => {
      for await (const _ of client.streamText(REQUEST));
    })(),
  );
  expect(isStreamTruncatedError(truncated) && responseHead(truncated)?.requestId).toBe("77");
  const refused = await caught(client.generateText(REQUEST));
  expect(responseHead(refused as Error)?.requestId).toBe("77");
});

it("knows nothing of what is not from an answer, and leaves what is no object alone", async () => {
  expect(responseHead({})).toBeUndefined();
  const { url } = await startServer((_, response) => sendJson(response, 200, RESPONSE));
  const validate = (): { value: never } => ({ value: "a text" as never });
  const client = new PythonClient(url, { schemas: { response: { "~standard": { validate } } } });
  expect(await client.generateText(REQUEST)).toBe("a text");
});
