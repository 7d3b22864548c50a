// The example's one route, as Next.js calls it.
import { expect, it, onTestFinished, vi } from "vitest";
import { PythonClient } from "../src/index.js";
import { sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, collect, PROBLEM, REQUEST, WHOLE_STREAM } from "./wire.js";

type Handler = (request: Request) => Promise<Response>;
const FILE = "../examples/nextjs/app/api/[...path]/route.js";

async function startApp(gateway: string): Promise<PythonClient> {
  const { GET, POST }: { GET: Handler; POST: Handler } = await import(FILE);
  vi.stubEnv("TORCHBRIDGE_BASE_URL", gateway); // after the file is loaded: it is read when a request comes
  onTestFinished(() => void vi.unstubAllEnvs());
  return new PythonClient("/api", {
    fetch: async (path, init) => (init?.method === "POST" ? POST : GET)(new Request(`http://page${path}`, init)),
  });
}

it("streams and lists the models, by the address that the environment has when they are asked for", async () => {
  const { url } = await startServer((request, response) => {
    if (request.url === "/models") return sendJson(response, 200, { models: [] });
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  const client = await startApp(url);
  expect(await client.models()).toEqual({ models: [] });
  expect(await collect(client.streamText(REQUEST))).toEqual(WHOLE_STREAM);
});

it("hands on nothing that the page does not use", async () => {
  const seen: unknown[] = [];
  const { url } = await startServer((request, response) => {
    seen.push(request.url);
    sendJson(response, 200, {});
  });
  const client = await startApp(url);
  for (const call of [client.generateText(REQUEST), client.generateBatch([REQUEST]), client.health()]) {
    expect(await caught(call)).toMatchObject({ code: "not_found" });
  }
  expect(seen).toEqual([]);
});

it("makes no attempts of its own beside the page's", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
  });
  const client = await startApp(url);
  expect(await caught(client.models())).toMatchObject({ code: "overloaded" });
  expect(requests).toBe(3);
});

it.each([FILE, "../examples/nextjs/app/api/chat/[...path]/route.js"])(
  "%s has the gateway's key from the environment, when a request comes",
  async (file) => {
    const keys: unknown[] = [];
    const { url } = await startServer((request, response) => {
      keys.push(request.headers.authorization);
      sendJson(response, 200, {});
    });
    vi.resetModules();
    vi.stubEnv("TORCHBRIDGE_API_KEY", "of-the-build");
    const { POST }: { POST: Handler } = await import(file);
    vi.stubEnv("TORCHBRIDGE_BASE_URL", url);
    vi.stubEnv("TORCHBRIDGE_API_KEY", "of-this-server");
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const path of ["/api/generate/stream", "/api/chat/chat/ui"]) {
      await POST(new Request(`http://page${path}`, { method: "POST", body: "{}" }));
    }
    expect(keys).toEqual(["Bearer of-this-server"]);
  },
);
