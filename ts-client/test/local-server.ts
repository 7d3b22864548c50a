import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { deferred } from "./deferred.js";
import { encodeEvents } from "./wire.js";

export interface LocalServer {
  readonly url: string;
  connections: number;
}

/** A real server that lives as long as the test that starts it. */
export async function startServer(listener: RequestListener): Promise<LocalServer> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const localServer = { url: `http://127.0.0.1:${port}`, connections: 0 };
  server.on("connection", () => {
    localServer.connections += 1;
  });
  return localServer;
}

// Below those that systems give to port 0 and to outgoing connections: nobody is given one that was just left.
const [FIRST_PORT, NUM_PORTS] = [16_384, 16_384];

/** An address at which nobody listens. */
export async function closedUrl(): Promise<string> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * NUM_PORTS);
    const server = createServer();
    const isFree = once(server, "listening").then(
      () => true,
      () => false,
    );
    server.listen(port, "127.0.0.1");
    if (!(await isFree)) continue;
    server.close();
    await once(server, "close");
    return `http://127.0.0.1:${port}`;
  }
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  contentType = "application/json",
): void {
  response.writeHead(status, { "content-type": contentType });
  response.end(JSON.stringify(body));
}

export function startEventStream(response: ServerResponse, events: readonly object[]): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  response.write(encodeEvents(events));
}

/** A server that leaves every stream open after these events, and the moment at which its client has gone. */
export async function startEndlessStream(
  events: readonly object[],
): Promise<{ url: string; disconnected: Promise<void> }> {
  const { promise: disconnected, resolve } = deferred();
  const { url } = await startServer((_, response) => {
    response.on("close", resolve);
    startEventStream(response, events);
  });
  return { url, disconnected };
}
