import { hasText, isWholeProblem, member, parseJson } from "./contract.js";
import { ApiError, protocolError, StreamTruncatedError } from "./errors.js";
import { cancel, EventStreamDecoder, EventStreamError, readerOf, readToEnd } from "./event-stream.js";
import type { HttpExchange } from "./http.js";

/** Where the gateway answers chats. */
export const CHAT_PATH = "/v1/chat/completions";

const LONGEST_WAIT_FOR_THE_END_MS = 50;

/** What there is in one event of the gateway's `/v1/chat/completions`. */
export interface ChatChunk {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** The beginning of the digest of the model's archive, as OpenAI writes it. */
  readonly fingerprint: string | undefined;
  readonly text: string;
  readonly toolCalls: readonly ToolCallPiece[];
  /** Of the tokens in this event, where they were asked for: OpenAI's objects. */
  readonly logprobs: readonly unknown[];
  readonly finishReason: string | undefined;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | undefined;
  /** The event as it came. */
  readonly raw: unknown;
}

/** A piece of a call of a tool: the next characters of its JSON. All pieces of one call have its `id` and `name`. */
export interface ToolCallPiece {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/**
 * The events of an answer up to its `[DONE]`, within the exchange's `firstTokenMs` and `idleMs`. The exchange is closed
 * here, and by its caller only to cancel it.
 *
 * @throws ApiError where a failure ends the stream or the answer is not the gateway's, StreamTruncatedError, and why the
 * exchange was aborted.
 */
export async function* readChunks(
  exchange: HttpExchange,
  response: Response,
): AsyncGenerator<ChatChunk, void, undefined> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const stream = new ChatStream();
  try {
    reader = readerOf(response);
    exchange.start("idleMs");
    while (!stream.isEnded) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new StreamTruncatedError(stream.text, { cause });
      });
      if (done) throw new StreamTruncatedError(stream.text);
      for (const chunk of stream.feed(value)) {
        exchange.throwIfAborted();
        const waitForNext = exchange.handOver(isAnswer(chunk));
        yield chunk;
        waitForNext();
      }
    }
  } catch (error) {
    exchange.throwIfAborted();
    if (error instanceof EventStreamError) throw protocolError(response, error.message);
    throw error;
  } finally {
    exchange.stop("firstTokenMs");
    exchange.stop("idleMs");
    if (reader && stream.isEnded) await release(reader, exchange);
    else {
      if (reader) cancel(reader);
      exchange.close();
    }
  }
}

/**
 * Leaves the connection to the next request, which would open another one if it came before this one's end. A proxy may
 * hold that back: nobody waits long for it.
 */
async function release(reader: ReadableStreamDefaultReader<Uint8Array>, exchange: HttpExchange): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LONGEST_WAIT_FOR_THE_END_MS);
    void readToEnd(reader).finally(() => {
      clearTimeout(timer);
      exchange.close();
      resolve();
    });
  });
}

/** From the bytes of one answer to its events. */
class ChatStream {
  /** Whether the gateway has said all that it says. */
  isEnded = false;
  /** All of it so far. */
  text = "";
  readonly #decoder = new EventStreamDecoder();
  readonly #toolCalls = new Map<unknown, { readonly id: string; readonly name: string }>();
  #isFinished = false;

  *feed(bytes: Uint8Array): Generator<ChatChunk, void, undefined> {
    for (const data of this.#decoder.feed(bytes)) {
      const sent = parseJson(data);
      this.isEnded = data === "[DONE]" || isWholeProblem(sent);
      if (isWholeProblem(sent)) throw new ApiError(sent);
      if (this.isEnded && !this.#isFinished) throw new EventStreamError("it ends without a finish_reason");
      if (this.isEnded) return;
      const choices = member(sent, "choices");
      if (!hasText(sent, "id") || !hasText(sent, "model") || !Array.isArray(choices)) {
        throw new EventStreamError(`not a chunk: ${data.slice(0, 100)}`);
      }
      yield this.#chunk(sent, choices[0]);
    }
  }

  #chunk(sent: { id: string; model: string }, choice: unknown): ChatChunk {
    const delta = member(choice, "delta");
    const text = textOf(member(delta, "content")) ?? "";
    const finishReason = textOf(member(choice, "finish_reason"));
    this.text += text;
    this.#isFinished ||= finishReason !== undefined;
    return {
      id: sent.id,
      model: sent.model,
      created: Number(member(sent, "created") ?? Date.now() / 1_000),
      fingerprint: textOf(member(sent, "system_fingerprint")),
      text,
      toolCalls: listOf(member(delta, "tool_calls")).map((piece) => this.#toolCallPiece(piece)),
      logprobs: listOf(member(member(choice, "logprobs"), "content")),
      finishReason,
      usage: (member(sent, "usage") as ChatChunk["usage"] | null) ?? undefined,
      raw: sent,
    };
  }

  /** Only the first piece of a call says whose it is; the others have its index. */
  #toolCallPiece(sent: unknown): ToolCallPiece {
    const index = member(sent, "index");
    const called = member(sent, "function");
    const id = textOf(member(sent, "id"));
    const name = textOf(member(called, "name"));
    const head = this.#toolCalls.get(index) ?? (id && name ? { id, name } : undefined);
    if (head === undefined) throw new EventStreamError("a tool call has no id or no name");
    this.#toolCalls.set(index, head);
    return { ...head, arguments: textOf(member(called, "arguments")) ?? "" };
  }
}

/** Whether there is something of the model's in it: the first event of all has nothing. */
function isAnswer({ text, toolCalls, finishReason }: ChatChunk): boolean {
  return text !== "" || toolCalls.length > 0 || finishReason !== undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
