import { type ChatAnswer, GrowingAnswer } from "./chat/answer.js";
import { type ChatRequest, type ChatTools, chatBody, type ToolCallOf } from "./chat/request.js";
import { CHAT_PATH, readChunks } from "./chat-stream.js";
import type { PythonClient } from "./client.js";
import type { CallOptions } from "./options.js";
import { type PieceStream, readable } from "./readable.js";
import { headOf, keepHead, type ResponseHead } from "./response-head.js";

export type { ChatAnswer, ChatFinishReason } from "./chat/answer.js";
export { InvalidToolCallError, isInvalidToolCallError } from "./chat/errors.js";
export type { AssistantMessage, ChatMessage, ChatRequest, ChatTool, ChatTools, ToolCallOf } from "./chat/request.js";
export {
  InvalidObjectError,
  isInvalidObjectError,
  isObjectTruncatedError,
  ObjectTruncatedError,
  type SchemaIssue,
} from "./objects/errors.js";
export type { JsonSchema, ObjectSchema, StandardJsonSchema } from "./objects/schema.js";

/** An event of an answer that is coming: one `start`, any number of `delta` and `tool_call`, one `done`. */
export type ChatEvent<Tools extends ChatTools, Value> =
  | { readonly type: "start"; readonly id: string; readonly model: string }
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "tool_call"; readonly call: ToolCallOf<Tools> }
  | { readonly type: "done"; readonly answer: ChatAnswer<Tools, Value> };

/** The events of an answer that is coming. They are read once: as events, as pieces of text, or for the answer alone. */
export interface ChatStream<Tools extends ChatTools, Value>
  extends AsyncGenerator<ChatEvent<Tools, Value>, void, undefined> {
  /** The text, in the pieces that the `delta` events have. */
  readonly textStream: PieceStream<string>;
  /** What the `done` event has. Where nobody has begun to read, waiting for it reads the stream. */
  readonly answer: PromiseLike<ChatAnswer<Tools, Value>>;
}

/** How far an answer is read, for who leaves it. */
interface Reading {
  readonly aborting: AbortController;
  isWhole: boolean;
  isLeft: boolean;
}

/** No tools, where a request names none. */
type None = Record<never, never>;

/**
 * Goes on with a conversation, through the model's own chat template, and waits for the whole answer.
 *
 * @throws InvalidToolCallError where a call of a tool is not whole or not valid, ObjectTruncatedError and
 * InvalidObjectError where an object of `output` is not, TypeError where a schema cannot tell its JSON schema, ApiError,
 * StreamTruncatedError, ConnectionError, TimeoutError, or the reason of the aborted signal.
 */
export async function chat<Tools extends ChatTools = None, Value = undefined>(
  client: PythonClient,
  request: ChatRequest<Tools, Value>,
  options?: CallOptions,
): Promise<ChatAnswer<Tools, Value>> {
  return await streamChat(client, request, options).answer;
}

/**
 * Goes on with a conversation and yields its texts, and whole calls of tools, as they come. Leaving the loop early cancels
 * the request, also on the gateway.
 *
 * @throws What `chat` throws; TypeError at once.
 */
export function streamChat<Tools extends ChatTools = None, Value = undefined>(
  client: PythonClient,
  request: ChatRequest<Tools, Value>,
  options: CallOptions = {},
): ChatStream<Tools, Value> {
  const reading: Reading = { aborting: new AbortController(), isWhole: false, isLeft: false };
  const events = chatEvents(client, chatBody(request), new GrowingAnswer(request), options, reading);
  const leave = (): void => {
    reading.isLeft = !reading.isWhole;
    if (reading.isLeft) reading.aborting.abort();
  };
  return readable(events, leave, ["textStream", "delta", "text"], "answer");
}

async function* chatEvents<Tools extends ChatTools, Value>(
  client: PythonClient,
  body: object,
  answer: GrowingAnswer<Tools, Value>,
  options: CallOptions,
  reading: Reading,
): AsyncGenerator<ChatEvent<Tools, Value>, void, undefined> {
  const { signal } = options;
  const { aborting } = reading;
  const abort = (): void => aborting.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  let head: ResponseHead | undefined;
  try {
    const call = { ...options, signal: aborting.signal };
    const [exchange, response] = await client.open(CHAT_PATH, body, call, "text/event-stream", "firstTokenMs");
    head = headOf(response);
    let isStarted = false;
    for await (const chunk of readChunks(exchange, response)) {
      if (!isStarted) yield keepHead({ type: "start", id: chunk.id, model: chunk.model }, head);
      isStarted = true;
      if (chunk.text !== "") yield { type: "delta", text: chunk.text };
      for await (const toolCall of answer.add(chunk)) yield { type: "tool_call", call: toolCall };
    }
    reading.isWhole = true; // an abort would cut the connection, which the next request may have
    const whole = keepHead(await answer.end(), head);
    yield keepHead({ type: "done", answer: whole }, head);
  } catch (error) {
    if (reading.isLeft) return;
    throw keepHead(error, head);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
