// A server that answers /v1/chat/completions as the gateway does, and what it may answer with.

import { readBody, startServer } from "./local-server.js";
import { encodeEvents } from "./wire.js";

const HEAD = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_700_000_000, model: "tiny@1.0" };
const FINGERPRINT = { system_fingerprint: "fp_9f86d0" };

export const chunk = (delta: object, finishReason: string | null = null): object => ({
  ...HEAD,
  ...FINGERPRINT,
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  usage: null,
});

export const OPENING: object = chunk({ role: "assistant", content: "" });
export const USED: object = {
  ...HEAD,
  choices: [],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};
export const CHUNKS: readonly object[] = [
  OPENING,
  chunk({ content: "Once" }),
  chunk({ content: " more" }),
  chunk({}, "length"),
  USED,
];

const toolCall = (call: object): object => chunk({ tool_calls: [call] });

/** Two calls in one answer, as OpenAI streams them: a head each, then pieces that have the index alone. */
export const TOOL_CHUNKS: readonly object[] = [
  chunk({ role: "assistant", content: null }),
  toolCall({ index: 0, id: "call_1", type: "function", function: { name: "weather", arguments: "" } }),
  toolCall({ index: 0, function: { arguments: '{"ci' } }),
  toolCall({ index: 0, function: { arguments: 'ty":"Bonn"}' } }),
  toolCall({ index: 1, id: "call_2", type: "function", function: { name: "clock", arguments: "" } }),
  toolCall({ index: 1, function: { arguments: "{}" } }),
  chunk({}, "tool_calls"),
  USED,
];

export const wholeStream = (chunks: readonly object[]): string => `${encodeEvents(chunks)}data: [DONE]\n\n`;

export interface Chat {
  readonly url: string;
  /** The bodies of the requests, in their order. */
  readonly asked: Record<string, unknown>[];
  readonly connections: number;
}

/** The n-th request has the n-th answer, and the last one all that come after. */
export async function startChat(...answers: string[]): Promise<Chat> {
  const asked: Record<string, unknown>[] = [];
  const server = await startServer(async (request, response) => {
    asked.push(JSON.parse(await readBody(request)));
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "4b1f" });
    response.end(answers[asked.length - 1] ?? answers.at(-1));
  });
  return Object.assign(server, { asked });
}
