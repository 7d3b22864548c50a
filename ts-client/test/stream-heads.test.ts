// What responseHead says of a stream, by whichever function.

import { expect, it } from "vitest";
import { responseHead } from "../src/index.js";
import { startServer } from "./local-server.js";
import { kindOf, NAMES, readings } from "./stream-kinds.js";
import { caught, collect, encodeEvents } from "./wire.js";

async function startNamed(body: string): Promise<string> {
  const { url } = await startServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "77" });
    response.end(body);
  });
  return url;
}

it.each(NAMES)("%s: of its start, its done, and the whole answer that it promises", async (name) => {
  const kind = kindOf(name);
  const { stream, whole } = readings(kind, await startNamed(encodeEvents(kind.parts) + kind.end));
  const events = await collect(stream);
  const results = [events[0], events.at(-1), await whole()] as object[];
  expect(results.map((result) => responseHead(result)?.requestId)).toEqual(["77", "77", "77"]);
});

it.each(NAMES)("%s: of what it fails with after it has begun", async (name) => {
  const kind = kindOf(name);
  const { stream } = readings(kind, await startNamed(encodeEvents(kind.parts)));
  const error = await caught(collect(stream));
  expect([(error as Error).name, responseHead(error as Error)?.requestId]).toEqual(["StreamTruncatedError", "77"]);
});
