import type { IncomingHttpHeaders } from "node:http";
import { parseJson } from "../src/contract.js";
import { PythonClient, type PythonClientOptions } from "../src/index.js";
import { readBody, sendJson, startEventStream, startServer } from "./local-server.js";
import { PROBLEM, REQUEST, RESPONSE, WHOLE_STREAM } from "./wire.js";

export function ask(
  body: BodyInit = JSON.stringify(REQUEST),
  headers: Record<string, string> = {},
  { path = "/generate/stream", signal }: { path?: string; signal?: AbortSignal } = {},
): Request {
  const init = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
  return new Request(`http://page/api${path}`, signal === undefined ? init : { ...init, signal });
}

/** The client takes the route for a gateway, as a page does. */
export function clientOf(
  route: (request: Request) => Promise<Response>,
  options: PythonClientOptions = {},
): PythonClient {
  return new PythonClient("/api", {
    ...options,
    fetch: async (path, init) => route(new Request(`http://page${path}`, init)),
  });
}

/** Answers all that the route stands for, and keeps what it was asked. */
export async function startGateway(): Promise<{ url: string; asked: [string, unknown, IncomingHttpHeaders][] }> {
  const asked: [string, unknown, IncomingHttpHeaders][] = [];
  const { url } = await startServer(async (request, response) => {
    const { method, url: path = "", headers } = request;
    asked.push([`${method} ${path}`, parseJson(await readBody(request)), headers]);
    const answers: Record<string, object> = {
      "/generate": RESPONSE,
      "/generate/batch": { results: [RESPONSE, PROBLEM] },
      "/models": { models: [] },
      "/readyz": { status: "ok" },
    };
    const answer = answers[path];
    if (answer !== undefined) return sendJson(response, 200, answer);
    startEventStream(response, WHOLE_STREAM);
    response.end();
  });
  return { url, asked };
}
