import { expect, it, vi } from "vitest";
import { isStreamTruncatedError, PythonClient, type StreamEvent } from "../src/index.js";
import { type StreamPosition, stopStream, streamResumable } from "../src/resume.js";
import { startServer } from "./local-server.js";
import { caught, collect, delta, encodeWithId, PROBLEM, REQUEST, RESPONSE, START } from "./wire.js";

const WORDS = ["Once ", "upon ", "a ", "time ", "there ", "was."];
const TEXT = WORDS.join("");
const DONE: StreamEvent = { type: "done", response: { ...RESPONSE, text: TEXT } };

interface Asked {
  readonly resumable: string | undefined;
  readonly lastEventId: string | undefined;
  readonly body: string;
}

/**
 * A gateway whose ids are the number of words so far. Each connection ends after as many words as `cuts` says, and those
 * after them tell the rest. `lastHasId: false`: the last word of a connection has no id, as the last text of an answer.
 * `idEvery`: of so many words one has an id. `breaks`: it breaks in place of ending, and what a client has not read by
 * then is lost.
 */
async function startCutting(
  cuts: readonly number[] = [],
  { withIds = true, lastHasId = true, idEvery = 1, breaks = false } = {},
) {
  const asked: Asked[] = [];
  const { url } = await startServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { "x-resumable": resumable, "last-event-id": lastEventId } = request.headers;
    const cut = cuts[asked.length];
    asked.push({ resumable: resumable as string | undefined, lastEventId: lastEventId as string | undefined, body });
    const first = Number(lastEventId ?? 0);
    const end = cut === undefined ? WORDS.length : Math.min(first + cut, WORDS.length);
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (lastEventId === undefined) response.write(encodeWithId(START, withIds ? "0" : undefined));
    for (let word = first; word < end; word += 1) {
      const hasId = withIds && (lastHasId || word < end - 1) && (word + 1) % idEvery === 0;
      response.write(encodeWithId(delta(word, WORDS[word] ?? ""), hasId ? `${word + 1}` : undefined));
    }
    if (cut === undefined) response.end(encodeWithId(DONE));
    else if (breaks) response.write(": \n\n", () => response.destroy());
    else response.end();
  });
  return { client: new PythonClient(url, { maxRetries: 0 }), asked };
}

const textOf = (events: readonly StreamEvent[]): string =>
  events.map((event) => (event.type === "delta" ? event.text : "")).join("");

vi.spyOn(Math, "random").mockReturnValue(0); // so that no attempt waits

it("goes on behind the last event, with one start and one end, and each text once", async () => {
  const { client, asked } = await startCutting([2, 1, 0, 2]);
  const events = await collect(streamResumable(client, REQUEST));
  expect(events.map(({ type }) => type)).toEqual(["start", ...WORDS.map(() => "delta"), "done"]);
  expect(textOf(events)).toBe(TEXT);
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "2", "3", "3", "5"]);
  expect(new Set(asked.map(({ resumable, body }) => `${resumable} ${body}`))).toEqual(
    new Set([`true ${JSON.stringify(REQUEST)}`]),
  );
});

it("loses no text with connections that break", async () => {
  const { client, asked } = await startCutting([2, 1, 2], { breaks: true });
  expect(textOf(await collect(streamResumable(client, REQUEST)))).toBe(TEXT);
  expect(asked).toHaveLength(4);
});

it("tells a text once that came behind the last id, and is told again", async () => {
  const { client, asked } = await startCutting([2, 3], { lastHasId: false });
  const events = await collect(streamResumable(client, REQUEST));
  expect(textOf(events)).toBe(TEXT);
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "1", "3"]);
});

it("tells each text once where few of them have an id, and is where the last one had", async () => {
  const { client, asked } = await startCutting([5, 2, 1], { idEvery: 3 });
  const positions: (StreamPosition | undefined)[] = [];
  const onPosition = (position: StreamPosition | undefined) => positions.push(position);
  const events = await collect(streamResumable(client, REQUEST, { onPosition }));
  expect(textOf(events)).toBe(TEXT);
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "3", "3", "3"]);
  expect(positions.map((position) => position?.text)).toEqual(["", "Once upon a ", TEXT]);
});

it("fails as a stream that stops where the gateway gives no ids", async () => {
  const { client, asked } = await startCutting([2], { withIds: false });
  const error = await caught(collect(streamResumable(client, REQUEST)));
  expect(isStreamTruncatedError(error) && error.text).toBe("Once upon ");
  expect(asked).toHaveLength(1);
});

it("gives up after attempts in a row without a text, and says all that came", async () => {
  const { client, asked } = await startCutting([2, 0, 1, 0, 0, 0]);
  const error = await caught(collect(streamResumable(client, REQUEST, { maxResumes: 2 })));
  expect(isStreamTruncatedError(error) && error.text).toBe("Once upon a ");
  expect(asked).toHaveLength(5);
});

it("goes on in another page where an earlier one was", async () => {
  const { client } = await startCutting([3]);
  const positions: (StreamPosition | undefined)[] = [];
  const before = streamResumable(client, REQUEST, { onPosition: (position) => positions.push(position) });
  let told = "";
  for await (const event of before) {
    if (event.type === "delta") told += event.text;
    if (told === "Once upon ") break;
  }
  const kept = JSON.parse(JSON.stringify(positions.at(-1))) as StreamPosition;
  expect(kept).toEqual({ start: START, text: "Once upon ", lastEventId: "2" });
  const events = await collect(streamResumable(client, REQUEST, { from: kept }));
  expect(events.slice(0, 2)).toEqual([START, delta(0, "Once upon ")]);
  expect(textOf(events)).toBe(TEXT);
});

it("does not go on after a failure that would come again", async () => {
  let requests = 0;
  const { url } = await startServer((request, response) => {
    request.resume();
    requests += 1;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const problem = { ...PROBLEM, code: "worker_died", retryable: false } as const;
    response.end(
      encodeWithId(START, "0") + encodeWithId(delta(0, "Once "), "1") + encodeWithId({ type: "error", problem }),
    );
  });
  const error = await caught(collect(streamResumable(new PythonClient(url), REQUEST)));
  expect(error).toMatchObject({ code: "worker_died" });
  expect(requests).toBe(1);
});

it("ends at once for who leaves, also between two connections, and throws for who aborts", async () => {
  vi.spyOn(Math, "random").mockReturnValueOnce(1).mockReturnValueOnce(1);
  const { client } = await startCutting([1, 1]);
  const left = streamResumable(client, REQUEST);
  await left.next();
  await left.next();
  const waiting = left.next();
  await left.return(undefined);
  expect(await waiting).toEqual({ done: true, value: undefined });
  const controller = new AbortController();
  const aborted = streamResumable(client, REQUEST, { signal: controller.signal });
  await aborted.next();
  controller.abort();
  expect(await caught(collect(aborted))).toMatchObject({ name: "AbortError" });
});

/** Tells the first word, waits, and keeps which ids it is told to stop. `isHere: false`: it does not know of stops. */
async function startWaiting(isHere = true) {
  const stopped: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    request.resume();
    if (request.method === "DELETE") {
      stopped.push(request.headers["last-event-id"] as string | undefined);
      response.writeHead(isHere ? 204 : 405).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(encodeWithId(START, "0") + encodeWithId(delta(0, "Once "), "1"));
  });
  return { client: new PythonClient(url, { maxRetries: 0 }), stopped };
}

it("stops the stream for good for who leaves it, and for who aborts it", async () => {
  const { client, stopped } = await startWaiting();
  for await (const event of streamResumable(client, REQUEST)) if (event.type === "delta") break;
  await vi.waitUntil(() => stopped.length === 1);
  const controller = new AbortController();
  const aborted = streamResumable(client, REQUEST, { signal: controller.signal });
  await aborted.next();
  await aborted.next();
  controller.abort();
  expect(await caught(aborted.next())).toMatchObject({ name: "AbortError" });
  await vi.waitUntil(() => stopped.length === 2);
  expect(stopped).toEqual(["1", "1"]);
});

it("stops nothing that may run on, or of which nothing was told", async () => {
  const { client, stopped } = await startWaiting();
  for await (const event of streamResumable(client, REQUEST, { runsOn: true })) if (event.type === "delta") break;
  await streamResumable(client, REQUEST).return(undefined);
  await stopStream(client, { lastEventId: "last" });
  expect(stopped).toEqual(["last"]);
});

it("stops nothing that was read to its end", async () => {
  const { client, asked } = await startCutting();
  for await (const event of streamResumable(client, REQUEST)) if (event.type === "done") break;
  await caught(stopStream(client, { lastEventId: "last" }));
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "last"]);
});

it("tells who stops a stream that the gateway could not, and nobody who has left", async () => {
  const { client, stopped } = await startWaiting(false);
  for await (const event of streamResumable(client, REQUEST)) if (event.type === "delta") break;
  await vi.waitUntil(() => stopped.length === 1);
  const error = await caught(stopStream(client, { lastEventId: "1" }));
  expect(error).toMatchObject({ status: 405 });
});
