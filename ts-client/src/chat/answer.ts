import type { ChatChunk, ToolCallPiece } from "../chat-stream.js";
import { InvalidObjectError } from "../objects/errors.js";
import { writtenValue } from "../objects/schema.js";
import { InvalidToolCallError, type WrittenCall } from "./errors.js";
import type { AssistantMessage, ChatRequest, ChatTools, ToolCallOf } from "./request.js";

/** Why an answer ended: the model's own end or a text of `stop`, its largest length, or calls of tools. */
export type ChatFinishReason = "stop" | "length" | "tool_calls";

/** What a model answered. */
export interface ChatAnswer<Tools extends ChatTools, Value> {
  /** What to quote when you ask the gateway's operator about this answer. */
  readonly id: string;
  /** With its version: `tiny@1.0`. */
  readonly model: string;
  /** Empty where there are calls only. */
  readonly text: string;
  /** Of `output`, valid by the schema and as the schema makes it. Undefined where there are calls in its place. */
  readonly object: [keyof Tools] extends [never] ? Value : Value | undefined;
  /** The calls, in their order, whole and valid. */
  readonly toolCalls: readonly ToolCallOf<Tools>[];
  /** Why it ended. */
  readonly finishReason: ChatFinishReason;
  /** In tokens. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | undefined;
  /** The answer as the next request's `messages` take it. */
  readonly message: AssistantMessage;
}

/** An answer that is coming. */
export class GrowingAnswer<Tools extends ChatTools, Value> {
  #text = "";
  #last: ChatChunk | undefined;
  #finishReason = "";
  #usage: ChatChunk["usage"];
  /** The call that is being written. */
  #open: { id: string; name: string; arguments: string } | undefined;
  readonly #written: WrittenCall[] = [];
  readonly #toolCalls: ToolCallOf<Tools>[] = [];
  readonly #request: ChatRequest<Tools, Value>;

  constructor(request: ChatRequest<Tools, Value>) {
    this.#request = request;
  }

  /**
   * The calls that are whole now: those that another one follows, and the last one when the answer has ended.
   *
   * @throws InvalidToolCallError
   */
  async *add(chunk: ChatChunk): AsyncGenerator<ToolCallOf<Tools>, void, undefined> {
    this.#last = chunk;
    this.#text += chunk.text;
    this.#usage = chunk.usage ?? this.#usage;
    this.#finishReason = chunk.finishReason ?? this.#finishReason;
    for (const piece of chunk.toolCalls) {
      if (piece.id !== this.#open?.id) yield* this.#endCall();
      this.#addPiece(piece);
    }
    if (chunk.finishReason !== undefined) yield* this.#endCall();
  }

  /** @throws ObjectTruncatedError, InvalidObjectError */
  async end(): Promise<ChatAnswer<Tools, Value>> {
    const { id = "", model = "" } = this.#last ?? {};
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = this.#usage ?? {};
    const [text, finishReason] = [this.#text, this.#finishReason as ChatFinishReason];
    const { output, stop } = this.#request;
    const hasObject = output !== undefined && this.#toolCalls.length === 0;
    // OpenAI's API has one word for the model's own end and for a text of `stop`, which may stand within the JSON.
    const isCut = finishReason === "stop" && stop !== undefined && stop.length > 0;
    const object = hasObject ? await writtenValue(output, text, isCut ? "stop_sequence" : finishReason) : undefined;
    return {
      id,
      model,
      text,
      object: object as ChatAnswer<Tools, Value>["object"],
      toolCalls: this.#toolCalls,
      finishReason,
      usage:
        promptTokens === undefined || completionTokens === undefined ? undefined : { promptTokens, completionTokens },
      message: this.#message(),
    };
  }

  #addPiece({ id, name, arguments: more }: ToolCallPiece): void {
    this.#open ??= { id, name, arguments: "" };
    this.#open.arguments += more;
  }

  async *#endCall(): AsyncGenerator<ToolCallOf<Tools>, void, undefined> {
    const call = this.#open;
    if (call === undefined) return;
    this.#open = undefined;
    this.#written.push(call);
    const whole = { ...call, arguments: await this.#argumentsOf(call) } as ToolCallOf<Tools>;
    this.#toolCalls.push(whole);
    yield whole;
  }

  async #argumentsOf(call: WrittenCall): Promise<unknown> {
    const { name, arguments: text } = call;
    const { tools } = this.#request;
    try {
      const tool = tools && Object.hasOwn(tools, name) ? tools[name] : undefined;
      if (tool === undefined) throw new InvalidObjectError(text, [{ message: "there is no such tool" }]);
      return await writtenValue(tool.parameters, text, this.#finishReason);
    } catch (cause) {
      throw new InvalidToolCallError(call, cause, this.#message());
    }
  }

  #message(): AssistantMessage {
    if (this.#written.length === 0) return { role: "assistant", content: this.#text };
    const tool_calls = this.#written.map(({ id, ...called }) => ({ id, type: "function", function: called }) as const);
    return { role: "assistant", content: this.#text || null, tool_calls };
  }
}
