import type { GenerationRequest, GenerationResponse, Problem, StreamEvent } from "../src/index.js";

export const REQUEST: GenerationRequest = { prompt: "Hello" };

export const RESPONSE: GenerationResponse = {
  text: "Grüße, 世界 👩‍🚀!",
  tokens_generated: 2,
  generation_time: 0.25,
  id: "4b1f",
  model: "tiny",
  model_version: "1.0",
  model_digest: "9f86d0",
  finish_reason: "stop",
  prompt_tokens: 3,
  queue_time: 0.01,
  time_to_first_token: 0.05,
  cached: false,
  logprobs: null,
  tool_calls: null,
  prompt_logprobs: null,
};

export const PROBLEM: Problem = {
  type: "urn:torchbridge:error:overloaded",
  title: "Too many requests are waiting",
  status: 503,
  detail: "64 requests are already waiting",
  code: "overloaded",
  request_id: "4b1f",
  retryable: true,
  retry_after: 1,
  errors: [],
};

export const START: StreamEvent = {
  type: "start",
  id: "4b1f",
  model: "tiny",
  model_version: "1.0",
  model_digest: "9f86d0",
  prompt_tokens: 3,
  seed: null,
};
export const DELTAS: readonly StreamEvent[] = [
  { type: "delta", index: 0, text: "Grüße, 世界", logprobs: null, tool_calls: null },
  { type: "delta", index: 1, text: " 👩‍🚀!", logprobs: null, tool_calls: null },
];
export const DONE: StreamEvent = { type: "done", response: RESPONSE };
export const ERROR: StreamEvent = { type: "error", problem: PROBLEM };
export const WHOLE_STREAM: readonly StreamEvent[] = [START, ...DELTAS, DONE];

/** As the gateway writes it. */
export function encodeEvents(events: readonly object[]): string {
  return events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
}

/** An answer whose body comes in exactly these pieces. */
export function responseInPieces(pieces: Iterable<Uint8Array>, contentType = "text/event-stream"): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": contentType } });
}

/** The ways to cut `bytes`: in two at every position, and into single bytes. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let position = 0; position <= bytes.length; position += 1) {
    yield [bytes.subarray(0, position), bytes.subarray(position)];
  }
  yield Array.from(bytes, (byte) => Uint8Array.of(byte));
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** What `promise` fails with, or undefined if it does not. */
export async function caught(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export const delta = (index: number, text: string): StreamEvent => ({
  type: "delta",
  index,
  text,
  logprobs: null,
  tool_calls: null,
});

/** As the gateway writes an event, with its id where it has one. */
export const encodeWithId = (event: StreamEvent, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`;
