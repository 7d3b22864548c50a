import { expect, it, vi } from "vitest";
import { PythonClient } from "../src/index.js";
import { streamResumable } from "../src/resume.js";
import { sendJson, startServer } from "./local-server.js";
import { caught, collect, delta, encodeWithId, PROBLEM, REQUEST, RESPONSE, START } from "./wire.js";

vi.spyOn(Math, "random").mockReturnValue(0); // so that no attempt waits

/** Cuts this many connections behind these first bytes of an answer, and then tells all of it. */
async function startCutAtFirst(cuts: number, bytes = ": keep-alive\n\n") {
  const asked: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    request.resume();
    asked.push(request.headers["last-event-id"] as string | undefined);
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (asked.length <= cuts) response.write(bytes, () => response.destroy());
    else {
      const done = { ...RESPONSE, text: "Once" };
      response.end(
        encodeWithId(START, "0") + encodeWithId(delta(0, "Once"), "1") + encodeWithId({ type: "done", response: done }),
      );
    }
  });
  return { client: new PythonClient(url, { maxRetries: 0 }), asked };
}

it("asks anew where the connection is lost behind the head, and before any event", async () => {
  const { client, asked } = await startCutAtFirst(2);
  const events = await collect(streamResumable(client, REQUEST));
  expect(events.map(({ type }) => type)).toEqual(["start", "delta", "done"]);
  expect(asked).toEqual([undefined, undefined, undefined]);
});

it("asks anew where nothing comes behind the head", async () => {
  let requests = 0;
  const { url } = await startServer((request, response) => {
    request.resume();
    requests += 1;
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  });
  const client = new PythonClient(url, { timeouts: { idleMs: 20 } });
  const error = await caught(collect(streamResumable(client, REQUEST, { maxResumes: 1 })));
  expect([error, requests]).toMatchObject([{ timeout: "idleMs" }, 2]);
});

it("asks no more often than it may", async () => {
  const { client, asked } = await startCutAtFirst(9);
  const error = await caught(collect(streamResumable(client, REQUEST, { maxResumes: 2 })));
  expect(error).toMatchObject({ name: "StreamTruncatedError", text: "" });
  expect(asked).toHaveLength(3);
});

it("does not ask anew when its caller has the start of an answer without ids", async () => {
  const { client, asked } = await startCutAtFirst(1, encodeWithId(START));
  await caught(collect(streamResumable(client, REQUEST)));
  expect(asked).toHaveLength(1);
});

it("leaves a failure before the head to the retries of every call", async () => {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    sendJson(response, 503, { ...PROBLEM, retry_after: 0 });
  });
  const error = await caught(collect(streamResumable(new PythonClient(url, { maxRetries: 1 }), REQUEST)));
  expect(error).toMatchObject({ code: "overloaded" });
  expect(requests).toBe(2);
});
