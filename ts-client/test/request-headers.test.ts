import type { IncomingHttpHeaders } from "node:http";
import { expect, expectTypeOf, it } from "vitest";
import { PythonClient, type PythonClientOptions, type RequestHeaders } from "../src/index.js";
import { createGenerateRoute } from "../src/next.js";
import { stopStream, streamResumable } from "../src/resume.js";
import { ask } from "./asked-route.js";
import { sendJson, startEventStream, startServer } from "./local-server.js";
import { caught, collect, REQUEST, RESPONSE, WHOLE_STREAM } from "./wire.js";

async function startRecorder() {
  const received: IncomingHttpHeaders[] = [];
  const { url } = await startServer((request, response) => {
    received.push(request.headers);
    if (request.method === "DELETE") response.writeHead(204).end();
    else if (request.url === "/generate") sendJson(response, 200, RESPONSE);
    else {
      startEventStream(response, WHOLE_STREAM);
      response.end();
    }
  });
  return { url, received };
}

const FORMS: [string, RequestHeaders][] = [
  ["an object", { "X-User": "ada", "x-empty": "" }],
  ["pairs", [["X-User", "ada"] as const, ["x-empty", ""] as const]],
  ["Headers", new Headers({ "x-user": "ada" })],
];

it.each(FORMS)("sends headers that are %s with each kind of call, and from a route", async (_, headers) => {
  const { url, received } = await startRecorder();
  const client = new PythonClient(url, { headers });
  await client.generateText(REQUEST);
  const other = new PythonClient(url, { headers: { "X-USER": "eve" } });
  await other.generateText(REQUEST, { headers });
  await collect(other.streamText(REQUEST, { headers }));
  await collect(streamResumable(other, REQUEST, { headers }));
  await stopStream(other, { lastEventId: "7" }, { headers });
  await createGenerateRoute({ baseUrl: url, headers: () => headers })(ask());
  expect(received.map((sent) => sent["x-user"])).toEqual(Array(6).fill("ada"));
  expect(received[3]).toMatchObject({ "x-resumable": "true" });
  expect(received[4]).toMatchObject({ "last-event-id": "7" });
  for (const sent of received) expect(sent).not.toHaveProperty("x-empty");
});

it("has both values of a pair that comes twice, as fetch", async () => {
  const { url, received } = await startRecorder();
  const pairs = [
    ["x-tag", "a"],
    ["x-tag", "b"],
  ] as const;
  await new PythonClient(url, { headers: { "x-tag": "z" } }).generateText(REQUEST, { headers: pairs });
  expect(received[0]).toMatchObject({ "x-tag": "a, b" });
});

it("does not tell what it cannot send", async () => {
  const headers: RequestHeaders = [["x-secret", "se\ncret"]];
  const error = await caught(new PythonClient("http://unused", { headers }).generateText(REQUEST));
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toContain("The header x-secret has");
  expect(String(error)).not.toContain("se\ncret");
});

it("takes each type that fetch takes", () => {
  expectTypeOf<NonNullable<RequestInit["headers"]>>().toExtend<PythonClientOptions["headers"]>();
});
