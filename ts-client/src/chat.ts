import { type ChatAnswer, GrowingAnswer } from "./chat/answer.js";
import { type ChatRequest, type ChatTools, chatBody, type ToolCallOf } from "./chat/request.js";
import { CHAT_PATH, readChunks } from "./chat-stream.js";
import type { PythonClient } from "./client.js";
import { leavable } from "./leavable.js";
import type { CallOptions } from "./options.js";
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
  for await (const event of streamChat(client, request, options)) if (event.type === "done") return event.answer;
  throw new Error("A stream that throws nothing ends with its answer");
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
): AsyncGenerator<ChatEvent<Tools, Value>, void, undefined> {
  const reading: Reading = { aborting: new AbortController(), isWhole: false, isLeft: false };
  const events = chatEvents(client, chatBody(request), new GrowingAnswer(request), options, reading);
  return leavable(events, () => {
    reading.isLeft = !reading.isWhole;
    if (reading.isLeft) reading.aborting.abort();
  });
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
