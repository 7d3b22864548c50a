import type { ChatChunk, ToolCallPiece } from "../chat-stream.js";
import type { FinishReason, Json, ModelCall, StreamPart, ToolCall, Usage, Warning } from "./specification.js";

const TEXT_ID = "0";
const FINISH_REASONS: Readonly<Record<string, FinishReason["unified"]>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  content_filter: "content-filter",
};

/**
 * The parts of an answer. A failure after the first of them is a part as well, and the text before it is closed.
 *
 * @param told what the caller is to see of an error.
 * @throws what `chunks` throws before the first, and why the call was aborted.
 */
export async function* streamParts(
  chunks: AsyncIterable<ChatChunk>,
  { abortSignal, includeRawChunks }: Pick<ModelCall, "abortSignal" | "includeRawChunks">,
  warnings: Warning[],
  told: (error: unknown) => unknown,
): AsyncGenerator<StreamPart, void, undefined> {
  const answer = new Answer();
  try {
    for await (const chunk of chunks) {
      if (!answer.isStarted) yield { type: "stream-start", warnings };
      if (includeRawChunks) yield { type: "raw", rawValue: chunk.raw };
      yield* answer.add(chunk);
    }
  } catch (error) {
    if (!answer.isStarted || abortSignal?.aborted) throw error;
    yield* answer.fail(told(error));
    return;
  }
  yield* answer.end();
}

class Answer {
  isStarted = false;
  #hasText = false;
  #finishReason: FinishReason = { unified: "other", raw: undefined };
  #usage: ChatChunk["usage"];
  #fingerprint: string | undefined;
  readonly #logprobs: unknown[] = [];
  /** By their ids. */
  readonly #toolCalls = new Map<string, ToolCall>();

  *add(chunk: ChatChunk): Generator<StreamPart, void, undefined> {
    if (!this.isStarted) {
      this.isStarted = true;
      const timestamp = new Date(chunk.created * 1_000);
      yield { type: "response-metadata", id: chunk.id, modelId: chunk.model, timestamp };
    }
    if (chunk.text !== "") {
      if (!this.#hasText) yield { type: "text-start", id: TEXT_ID };
      this.#hasText = true;
      yield { type: "text-delta", id: TEXT_ID, delta: chunk.text };
    }
    for (const piece of chunk.toolCalls) yield* this.#addToToolCall(piece);
    const { finishReason: raw } = chunk;
    if (raw !== undefined) this.#finishReason = { unified: FINISH_REASONS[raw] ?? "other", raw };
    this.#usage = chunk.usage ?? this.#usage;
    this.#fingerprint = chunk.fingerprint ?? this.#fingerprint;
    this.#logprobs.push(...chunk.logprobs);
  }

  *#addToToolCall({ id, name, arguments: delta }: ToolCallPiece): Generator<StreamPart, void, undefined> {
    let call = this.#toolCalls.get(id);
    if (call === undefined) {
      call = { type: "tool-call", toolCallId: id, toolName: name, input: "" };
      this.#toolCalls.set(id, call);
      yield { type: "tool-input-start", id, toolName: name };
    }
    if (delta === "") return;
    call.input += delta;
    yield { type: "tool-input-delta", id, delta };
  }

  *end(): Generator<StreamPart, void, undefined> {
    yield* this.#endText();
    for (const call of this.#toolCalls.values()) {
      yield { type: "tool-input-end", id: call.toolCallId };
      yield call;
    }
    yield this.#finish(this.#finishReason);
  }

  /** A tool whose call is not whole must not be run. */
  *fail(error: unknown): Generator<StreamPart, void, undefined> {
    yield* this.#endText();
    yield { type: "error", error };
    yield this.#finish({ unified: "error", raw: undefined });
  }

  *#endText(): Generator<StreamPart, void, undefined> {
    if (this.#hasText) yield { type: "text-end", id: TEXT_ID };
  }

  #finish(finishReason: FinishReason): StreamPart {
    const torchbridge = {
      ...(this.#fingerprint && { systemFingerprint: this.#fingerprint }),
      ...(this.#logprobs.length > 0 && { logprobs: this.#logprobs as Json[] }),
    };
    return { type: "finish", finishReason, usage: usageOf(this.#usage), providerMetadata: { torchbridge } };
  }
}

export function usageOf(usage: ChatChunk["usage"]): Usage {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
  return {
    inputTokens: { total: prompt, noCache: prompt, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: completion, text: completion, reasoning: undefined },
  };
}
