import { expect, expectTypeOf, it } from "vitest";
import { type GenerationResponse, isApiError, type Problem, PythonClient } from "../src/index.js";
import { readBody, sendJson, startServer } from "./local-server.js";
import { caught, PROBLEM, REQUEST, RESPONSE } from "./wire.js";

it("returns an answer or a problem for each request, told apart by the code", async () => {
  const seen: string[] = [];
  const server = await startServer(async (request, response) => {
    seen.push(`${request.method} ${request.url} ${await readBody(request)}`);
    sendJson(response, 200, { results: [RESPONSE, PROBLEM] });
  });
  const results = await new PythonClient(server.url, { maxRetries: 0 }).generateBatch([
    REQUEST,
    { prompt: "", seed: 1 },
  ]);
  expect(results.map((result) => ("code" in result ? result.detail : result.text))).toEqual([
    RESPONSE.text,
    PROBLEM.detail,
  ]);
  expect(seen).toEqual(['POST /generate/batch {"requests":[{"prompt":"Hello"},{"prompt":"","seed":1}]}']);
  expectTypeOf(results).toEqualTypeOf<(GenerationResponse | Problem)[]>();
});

it.each([
  ["a problem without a status", [{ ...PROBLEM, status: undefined }]],
  ["a problem whose status is null", [{ ...PROBLEM, status: null }]],
  ["fewer results than requests", []],
  ["more results than requests", [RESPONSE, RESPONSE]],
])("takes %s for none of the gateway's answers", async (_, results) => {
  const server = await startServer((_request, response) => sendJson(response, 200, { results }));
  const error = await caught(new PythonClient(server.url).generateBatch([REQUEST]));
  expect(isApiError(error) && [error.code, error.status]).toEqual(["upstream_protocol", 200]);
});

it("throws an ApiError when the whole batch is refused", async () => {
  const server = await startServer((_, response) => sendJson(response, 503, PROBLEM, "application/problem+json"));
  const error = await caught(new PythonClient(server.url, { maxRetries: 0 }).generateBatch([REQUEST]));
  expect(error).toMatchObject({ name: "ApiError", problem: PROBLEM });
});

it("throws the reason of the signal when it is aborted", async () => {
  const controller = new AbortController();
  const server = await startServer(() => controller.abort("enough"));
  expect(
    await caught(
      new PythonClient(server.url, { maxRetries: 0 }).generateBatch([REQUEST], { signal: controller.signal }),
    ),
  ).toBe("enough");
});
