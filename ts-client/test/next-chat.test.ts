import { expect, it } from "vitest";
import { chat } from "../src/chat.js";
import { parseJson } from "../src/contract.js";
import { PythonClient } from "../src/index.js";
import { createChatRoute } from "../src/next.js";
import { CHUNKS, startChat, wholeStream } from "./chat.js";
import { readBody, startServer } from "./local-server.js";

const BODY = { messages: [{ role: "user", parts: [{ type: "text", text: "Hello" }] }] };

function ask(path: string, body: unknown = BODY): Request {
  const headers = { "content-type": "application/json" };
  return new Request(`http://page/api${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Answers all chats, and keeps what it was asked. */
async function startGateway(): Promise<{ url: string; asked: [string | undefined, unknown][] }> {
  const asked: [string | undefined, unknown][] = [];
  const { url } = await startServer(async (request, response) => {
    asked.push([request.url, parseJson(await readBody(request))]);
    if (request.method === "DELETE") return void response.writeHead(204).end();
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "server-timing": "total;dur=1.0",
      "x-vercel-ai-ui-message-stream": "v1",
    });
    response.end('data: {"type":"start"}\n\ndata: [DONE]\n\n');
  });
  return { url, asked };
}

it("hands the AI SDK's stream on with the mark that says that it is one", async () => {
  const { url, asked } = await startGateway();
  const response = await createChatRoute({ baseUrl: url })(ask("/chat/ui"));
  expect(await response.text()).toBe('data: {"type":"start"}\n\ndata: [DONE]\n\n');
  expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
  expect(response.headers.get("server-timing")).toBe("total;dur=1.0");
  expect(asked).toEqual([["/chat/ui", BODY]]);
});

it("lets prepare shape a chat, or refuse it", async () => {
  const { url, asked } = await startGateway();
  const route = createChatRoute({
    baseUrl: url,
    prepare: (_, body) => (body?.model === "big" ? new Response("no", { status: 402 }) : { ...body, max_tokens: 5 }),
  });
  expect((await route(ask("/chat/ui", { ...BODY, max_tokens: 5_000 }))).status).toBe(200);
  expect((await route(ask("/chat/ui", { ...BODY, model: "big" }))).status).toBe(402);
  expect(asked).toEqual([["/chat/ui", { ...BODY, max_tokens: 5 }]]);
});

it("stands for chats alone, and for those that it is told", async () => {
  const { url, asked } = await startGateway();
  for (const path of ["/generate", "/generate/stream", "/models", "/metrics"])
    expect((await createChatRoute({ baseUrl: url })(ask(path))).status).toBe(404);
  const route = createChatRoute({ baseUrl: url, paths: ["/chat/ui"] });
  expect((await route(ask("/v1/chat/completions"))).status).toBe(404);
  expect(asked).toEqual([]);
});

it("finds a chat's answer again and stops it, for pages of this site", async () => {
  const { url, asked } = await startGateway();
  const route = createChatRoute({ baseUrl: url, headers: () => ({ "x-user": "ann" }) });
  const address = "http://page/api/chat/ui/chat%201/stream";
  expect((await route(new Request(address))).headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
  const stopped = await route(new Request(address, { method: "DELETE" }));
  expect([stopped.status, stopped.body]).toEqual([204, null]);
  const others = { method: "DELETE", headers: { "sec-fetch-site": "cross-site" } };
  expect((await route(new Request(address, others))).status).toBe(403);
  expect((await route(new Request(address, { method: "POST" }))).headers.get("allow")).toBe("GET, DELETE");
  for (const path of ["/chat/ui//stream", "/chat/ui/stream", "/chat/ui/1/2/stream"])
    expect((await route(new Request(`http://page/api${path}`))).status).toBe(404);
  expect(asked).toEqual(Array(2).fill(["/chat/ui/chat%201/stream", undefined]));
});

it("is a gateway for the chats of a page's client", async () => {
  const { url } = await startChat(wholeStream(CHUNKS));
  const route = createChatRoute({ baseUrl: url });
  const client = new PythonClient("/api", {
    fetch: async (path, init) => route(new Request(`http://page${path}`, init)),
  });
  const answer = await chat(client, { messages: [{ role: "user", content: "Hi" }] });
  expect(answer.text).toBe("Once more");
});
