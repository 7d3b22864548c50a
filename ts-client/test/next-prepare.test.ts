import { describe, expect, it, vi } from "vitest";
import type { GenerationRequest } from "../src/index.js";
import { createGenerateRoute } from "../src/next.js";
import { ask, clientOf, startGateway } from "./asked-route.js";
import { collect, REQUEST } from "./wire.js";

describe("prepare", () => {
  const clamp = (_: Request, body: GenerationRequest | undefined): GenerationRequest | undefined =>
    body && { ...body, prompt: `Be kind. ${body.prompt}`, max_length: Math.min(body.max_length ?? 100, 50) };

  it("shapes what the gateway gets", async () => {
    const { url, asked } = await startGateway();
    const client = clientOf(createGenerateRoute({ baseUrl: url, prepare: clamp }));
    await client.generateText({ ...REQUEST, max_length: 9_000 });
    await collect(client.streamText(REQUEST));
    await client.models();
    expect(asked.map(([, body]) => body)).toEqual([
      { prompt: "Be kind. Hello", max_length: 50 },
      { prompt: "Be kind. Hello", max_length: 50 },
      undefined,
    ]);
  });

  it("shapes each request of a batch", async () => {
    const { url, asked } = await startGateway();
    const client = clientOf(createGenerateRoute({ baseUrl: url, prepare: clamp }));
    await client.generateBatch([{ ...REQUEST, max_length: 9_000 }, REQUEST]);
    const prepared = { prompt: "Be kind. Hello", max_length: 50 };
    expect(asked.map(([, body]) => body)).toEqual([{ requests: [prepared, prepared] }]);
  });

  it.each(["/generate", "/generate/stream", "/generate/batch", "/models", "/readyz"])(
    "refuses at %s before the gateway hears of it",
    async (path) => {
      const { url, asked } = await startGateway();
      const prepare = async (request: Request): Promise<Response> =>
        new Response(request.headers.get("cookie"), { status: 401 });
      const route = createGenerateRoute({ baseUrl: url, prepare });
      const method = path.startsWith("/generate") ? "POST" : "GET";
      for (const body of path === "/generate/batch" ? [{ requests: [REQUEST] }, { requests: [] }] : [REQUEST]) {
        const init = { method, headers: { cookie: "ada" }, ...(method === "POST" && { body: JSON.stringify(body) }) };
        const response = await route(new Request(`http://page/api${path}`, init));
        expect([response.status, await response.text()]).toEqual([401, "ada"]);
      }
      expect(asked).toEqual([]);
    },
  );

  it.each([
    ["/generate", "{", 400, "malformed_json"],
    ["/generate", "[1]", 422, "invalid_request"],
    ["/generate", "null", 422, "invalid_request"],
    ["/generate/batch", "{}", 422, "invalid_request"],
    ["/generate/batch", '{"requests": [1]}', 422, "invalid_request"],
  ])("is not asked about what is no request: %s %s", async (path, body, status, code) => {
    const { url, asked } = await startGateway();
    const prepare = vi.fn(clamp);
    const response = await createGenerateRoute({ baseUrl: url, prepare })(ask(body, {}, { path }));
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ code })]);
    expect([asked, prepare.mock.calls]).toEqual([[], []]);
  });
});
