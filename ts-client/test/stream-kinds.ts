// Every stream of the client, by its function, and how each names its pieces and its whole.

import { expect } from "vitest";
import { streamChat } from "../src/chat.js";
import { type CallOptions, type GenerationStream, PythonClient } from "../src/index.js";
import { streamObject } from "../src/objects.js";
import { streamResumable } from "../src/resume.js";
import { CHUNKS, wholeStream } from "./chat.js";
import { startEventStream, startServer } from "./local-server.js";
import { DELTAS, DONE, delta, encodeEvents, REQUEST, RESPONSE, START } from "./wire.js";

const PETS = [START, delta(0, '{"name":'), delta(1, '"Rex"}')];
const PET_DONE = { type: "done", response: { ...RESPONSE, text: '{"name":"Rex"}' } };
export const messages = [{ role: "user", content: "Hello" }] as const;

/** A stream by any of its functions, and by which names it has its pieces and its whole. */
export interface Kind {
  readonly parts: readonly object[];
  readonly end: string;
  readonly ask: (client: PythonClient, options?: CallOptions) => AsyncGenerator<{ readonly type: string }, void>;
  readonly pieces: string;
  readonly texts: readonly unknown[];
  readonly whole: string;
  readonly result: unknown;
}

const TEXT = { parts: [START, ...DELTAS], end: encodeEvents([DONE]), pieces: "textStream", whole: "response" };
export const TEXTS = { texts: ["Grüße, 世界", " 👩‍🚀!"], result: RESPONSE };
export const KINDS: Record<string, Kind> = {
  streamText: { ...TEXT, ...TEXTS, ask: (client, options) => client.streamText(REQUEST, options) },
  streamResumable: { ...TEXT, ...TEXTS, ask: (client, options) => streamResumable(client, REQUEST, options) },
  streamChat: {
    parts: CHUNKS.slice(0, 3),
    end: wholeStream(CHUNKS.slice(3)),
    ask: (client, options) => streamChat(client, { messages }, options),
    pieces: "textStream",
    texts: ["Once", " more"],
    whole: "answer",
    result: expect.objectContaining({ text: "Once more", finishReason: "length" }),
  },
  streamObject: {
    parts: PETS,
    end: encodeEvents([PET_DONE]),
    ask: (client, options) => streamObject(client, { ...REQUEST, schema: {} }, options),
    pieces: "partialObjectStream",
    texts: [{}, { name: "Rex" }],
    whole: "object",
    result: { name: "Rex" },
  },
};
export const NAMES = Object.keys(KINDS);

/** What there is of a stream, however it is called there. */
export function readings({ ask, pieces, whole }: Kind, url: string, options?: CallOptions) {
  const client = new PythonClient(url, { maxRetries: 0 });
  const stream = ask(client, options);
  return {
    stream,
    pieces: (): GenerationStream["textStream"] => Reflect.get(stream, pieces),
    whole: (): PromiseLike<unknown> => Reflect.get(stream, whole),
  };
}

export function kindOf(name: string): Kind {
  return KINDS[name] as Kind;
}

export async function startWhole({ parts, end }: Kind) {
  let requests = 0;
  const { url } = await startServer((_, response) => {
    requests += 1;
    startEventStream(response, parts);
    response.end(end);
  });
  return { url, requests: () => requests };
}
