import { readdirSync, readFileSync } from "node:fs";
import { createParser } from "eventsource-parser";
import { describe, expect, it } from "vitest";
import { isStreamEvent, member, parseJson } from "../src/contract.js";
import { ApiError, StreamTruncatedError } from "../src/errors.js";
import { EventStreamDecoder, EventStreamError, readEvents } from "../src/event-stream.js";
import { deferred } from "./deferred.js";
import { collect, cuts, DELTAS, DONE, ERROR, encodeEvents, responseInPieces, START, WHOLE_STREAM } from "./wire.js";

// tests/contract/test_event_stream.py reads the same fixtures.
const FIXTURES = new URL("../../tests/fixtures/event_stream/", import.meta.url);
const FIXTURE_NAMES = readdirSync(FIXTURES)
  .filter((file) => file.endsWith(".sse"))
  .map((file) => file.slice(0, -".sse".length));

/** What a stream of bytes is to be read as: the data of its events, then a refusal if there is one. */
interface Expected {
  readonly max_event_bytes?: number;
  readonly data: readonly string[];
  readonly refusal?: string;
}

function readFixture(name: string): { wire: Uint8Array; expected: Expected } {
  const wire = new Uint8Array(readFileSync(new URL(`${name}.sse`, FIXTURES)));
  return { wire, expected: JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), "utf8")) };
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function decode(pieces: Iterable<Uint8Array>): string[] {
  const decoder = new EventStreamDecoder();
  return Array.from(pieces).flatMap((piece) => [...decoder.feed(piece)]);
}

function readData(pieces: Iterable<Uint8Array>, maxEventBytes: number | undefined): Expected {
  const decoder = new EventStreamDecoder(maxEventBytes);
  const data: string[] = [];
  try {
    for (const piece of pieces) for (const each of decoder.feed(piece)) data.push(each);
  } catch (error) {
    if (!(error instanceof EventStreamError)) throw error;
    return { data, refusal: error.message };
  }
  return { data };
}

describe("EventStreamDecoder", () => {
  it.each(FIXTURE_NAMES)("reads the same of %s wherever its bytes are cut", (name) => {
    const { wire, expected } = readFixture(name);
    const { max_event_bytes: maxEventBytes, ...data } = expected;
    for (const pieces of cuts(wire)) expect(readData(pieces, maxEventBytes)).toEqual(data);
  });

  it("reads the events that the gateway's encoder writes", () => {
    const events = decode([readFixture("encoded-events").wire]).map(parseJson);
    expect(events.every(isStreamEvent)).toBe(true);
    expect(new Set(events.map((event) => member(event, "type")))).toEqual(new Set(["start", "delta", "done", "error"]));
  });

  it("reads a line of one megabyte that comes byte by byte", () => {
    const bytes = encode(`data: ${"x".repeat(2 ** 20)}\n\n`);
    const decoder = new EventStreamDecoder();
    const events: string[] = [];
    for (let position = 0; position < bytes.length; position += 1) {
      events.push(...decoder.feed(bytes.subarray(position, position + 1)));
    }
    expect(events.map((data) => data.length)).toEqual([2 ** 20]);
  });

  it("reads one megabyte of short lines that come at once", () => {
    expect(decode([encode("data: x\n\n".repeat(2 ** 17))])).toHaveLength(2 ** 17);
  });

  it("agrees with eventsource-parser on random streams in random pieces", () => {
    const random = createRandom(20261122);
    const tokens = [
      "data",
      "data:",
      "data: ",
      ":",
      " ",
      "\n",
      "\r",
      "\r\n",
      "\n\n",
      "id: 1",
      "event: e",
      "a",
      "é",
      "👩‍🚀",
    ];
    for (let run = 0; run < 20_000; run += 1) {
      const wire = Array.from({ length: 1 + random(40) }, () => tokens[random(tokens.length)]).join("");
      const bytes = encode(wire);
      const pieces: Uint8Array[] = [];
      for (let start = 0; start < bytes.length; ) {
        const end = start + 1 + random(6);
        pieces.push(bytes.subarray(start, end));
        start = end;
      }
      expect(decode(pieces), `run ${run}: ${JSON.stringify(wire)}`).toEqual(decodeWithOracle(pieces));
    }
  });
});

describe("readEvents", () => {
  const wholeWire = encode(`: ping\n\n${encodeEvents(WHOLE_STREAM).replaceAll("\n", "\r\n")}`);

  it("yields the same events wherever the bytes are cut", async () => {
    for (const pieces of cuts(wholeWire)) {
      expect(await collect(readEvents(responseInPieces(pieces)))).toEqual(WHOLE_STREAM);
    }
  });

  it.each([
    ["done", DONE],
    ["error", ERROR],
  ])("ends with the first %s event", async (_, last) => {
    const response = responseInPieces([encode(encodeEvents([START, last, ...DELTAS]))]);
    expect(await collect(readEvents(response))).toEqual([START, last]);
  });

  it("passes over events of a type that it does not know", async () => {
    const response = responseInPieces([encode(encodeEvents([START, { type: "usage", text: 1 }, DONE]))]);
    expect(await collect(readEvents(response))).toEqual([START, DONE]);
  });

  it.each([
    ["is not JSON", "[DONE]"],
    ["is empty", ""],
    ["is not an object", "17"],
    ["is null", "null"],
    ["has no type", '{"text": "a"}'],
    ["has a type that is not a string", '{"type": 1}'],
    ["is a delta without text", '{"type": "delta", "index": 0}'],
    ["is a done without a response", '{"type": "done"}'],
    ["is an error without a problem", '{"type": "error", "problem": {"detail": "?"}}'],
  ])("throws an ApiError when an event %s", async (_, data) => {
    const response = responseInPieces([encode(`data: ${data}\n\n`)]);
    const error = await collect(readEvents(response)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: "upstream_protocol", status: 200, retryable: false });
    expect(error).toHaveProperty("message", expect.stringContaining(data));
  });

  it.each([
    ["a done before a start", [DONE]],
    ["a delta before a start", DELTAS],
    ["a start after a start", [START, START]],
  ])("throws an ApiError for %s", async (order, events) => {
    const response = responseInPieces([encode(encodeEvents(events))]);
    await expect(collect(readEvents(response))).rejects.toMatchObject({
      code: "upstream_protocol",
      detail: `the answer is not the gateway's: ${order.slice(2)}`,
    });
  });

  it("yields an error that comes before a start", async () => {
    const response = responseInPieces([encode(encodeEvents([ERROR]))]);
    expect(await collect(readEvents(response))).toEqual([ERROR]);
  });

  it("throws an ApiError after the events before it when bytes are not UTF-8", async () => {
    const response = responseInPieces([encode(encodeEvents([START])), Uint8Array.of(0xff, 0x0a)]);
    const events = readEvents(response);
    expect(await events.next()).toEqual({ done: false, value: START });
    await expect(events.next()).rejects.toMatchObject({
      name: "ApiError",
      code: "upstream_protocol",
      detail: "the answer is not the gateway's: a line is not UTF-8",
    });
  });

  it("throws a StreamTruncatedError with the text so far, wherever the stream ends before its last event", async () => {
    for (const [head = new Uint8Array()] of cuts(wholeWire)) {
      if (head.length < 2 || head.length >= wholeWire.length - 2) continue;
      const events: unknown[] = [];
      const error = await (async () => {
        for await (const event of readEvents(responseInPieces([head]))) events.push(event);
      })().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StreamTruncatedError);
      expect(events).toEqual(WHOLE_STREAM.slice(0, events.length));
      const text = DELTAS.slice(0, Math.max(0, events.length - 1)).map((delta) =>
        delta.type === "delta" ? delta.text : "",
      );
      expect(error).toHaveProperty("text", text.join(""));
    }
  });

  it("refuses an answer that is not an event stream", async () => {
    const page = responseInPieces([encode("<html>")], "text/html");
    await expect(collect(readEvents(page))).rejects.toThrow(
      "API error: the answer is not the gateway's: it is text/html",
    );
    await expect(collect(readEvents(new Response(null)))).rejects.toBeInstanceOf(ApiError);
  });

  it("cancels the body when its reader stops early", async () => {
    const cancelled = deferred();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(encode(encodeEvents([START, ...DELTAS]))),
      cancel: () => cancelled.resolve(),
    });
    for await (const event of readEvents(new Response(body, { headers: { "content-type": "text/event-stream" } }))) {
      if (event.type === "delta") break;
    }
    await cancelled.promise;
  });
});

function decodeWithOracle(pieces: Iterable<Uint8Array>): string[] {
  const events: string[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event.data) });
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // the parser itself drops the mark
  for (const piece of pieces) parser.feed(utf8.decode(piece, { stream: true }));
  return events;
}

/** Park-Miller: the same numbers in every run, so that a failure can be seen again. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed % 2_147_483_647;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}
