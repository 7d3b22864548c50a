import { hasText, isProblem, member, parseJson } from "./contract.js";
import { ApiError, protocolError, StreamTruncatedError } from "./errors.js";
import { EventStreamDecoder, EventStreamError } from "./event-stream.js";

/** What there is in one event of the gateway's `/v1/chat/completions`. */
export interface ChatChunk {
  readonly id: string;
  readonly model: string;
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | undefined;
}

/**
 * The events of an answer up to its `[DONE]`.
 *
 * @throws ApiError where a failure ends the stream or the answer is not the gateway's, and StreamTruncatedError.
 */
export async function* readChunks(response: Response): AsyncGenerator<ChatChunk, void, undefined> {
  const decoder = new EventStreamDecoder();
  let text = "";
  try {
    for await (const bytes of bodyOf(response)) {
      for (const data of decoder.feed(bytes)) {
        if (data === "[DONE]") return;
        const chunk = parseChunk(data);
        text += chunk.text;
        yield chunk;
      }
    }
  } catch (error) {
    if (error instanceof EventStreamError) throw protocolError(response, error.message);
    if (error instanceof ApiError) throw error;
    throw new StreamTruncatedError(text, { cause: error });
  }
  throw new StreamTruncatedError(text);
}

/** Not by `for await` over the body itself, which Safari cannot. */
async function* bodyOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  try {
    for (let piece = await reader?.read(); piece !== undefined && !piece.done; piece = await reader?.read()) {
      yield piece.value;
    }
  } finally {
    reader?.cancel().catch(() => undefined);
  }
}

function parseChunk(data: string): ChatChunk {
  const sent = parseJson(data);
  if (isProblem(sent)) throw new ApiError(sent);
  const choices = member(sent, "choices");
  if (!hasText(sent, "id") || !hasText(sent, "model") || !Array.isArray(choices)) {
    throw new EventStreamError(`not a chunk: ${data.slice(0, 100)}`);
  }
  const [choice] = choices;
  const content = member(member(choice, "delta"), "content");
  const finishReason = member(choice, "finish_reason");
  return {
    id: sent.id,
    model: sent.model,
    text: typeof content === "string" ? content : "",
    finishReason: typeof finishReason === "string" ? finishReason : undefined,
    usage: (member(sent, "usage") as ChatChunk["usage"] | null) ?? undefined,
  };
}
