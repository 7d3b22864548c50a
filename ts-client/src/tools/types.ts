import type { ChatMessage, ChatRequest, ChatTools } from "../chat/request.js";
import type { ChatAnswer, ChatEvent } from "../chat.js";
import type { ObjectSchema, StandardJsonSchema } from "../objects/schema.js";
import type { PieceStream } from "../readable.js";

/** What a tool is told beside its arguments. */
export interface ToolContext {
  /** Of the call. */
  readonly callId: string;
  /** Is aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal;
}

/** Tools by their names, with what is run where the model calls them. */
export type RunnableTools<Schemas> = {
  readonly [Name in keyof Schemas]: {
    /** What it does, for the model. */
    readonly description?: string;
    /** Of its arguments. */
    readonly parameters: Schemas[Name];
    /** What it returns is told to the model: a text as it is, and all else as JSON. So is what it throws. */
    readonly execute: (given: ValueOf<Schemas[Name]>, context: ToolContext) => unknown;
  };
};

/** The schemas of tools, by their names. */
export type ToolSchemas = Readonly<Record<string, ObjectSchema<unknown>>>;
type ValueOf<Schema> = Schema extends StandardJsonSchema<infer Value, infer _> ? Value : unknown;

/** A conversation to go on with, by tools. `tool_choice` is for the first answer. */
export interface ToolsRequest<Schemas extends ToolSchemas, Value>
  extends Omit<ChatRequest<RunnableTools<Schemas>, Value>, "tools"> {
  /** What the model may call, by name. */
  readonly tools: RunnableTools<Schemas>;
  /** How many answers there are at most. 10. */
  readonly maxSteps?: number | undefined;
}

/** The last answer, and how it came to that. */
export interface ToolsAnswer<Tools extends ChatTools, Value> extends ChatAnswer<Tools, Value> {
  /** The conversation with all that was added, as the next request takes it. */
  readonly messages: readonly ChatMessage[];
  /** All answers, this one too. */
  readonly steps: readonly ChatAnswer<Tools, Value>[];
}

/** What the model was told of a call. */
export interface ToolResult {
  /** What it is. */
  readonly type: "tool_result";
  /** Of the call. */
  readonly callId: string;
  /** Of the tool. */
  readonly name: string;
  /** What the model was told. */
  readonly content: string;
  /** What the tool has thrown, or why it was not run. */
  readonly error?: unknown;
}

/** An event of a conversation: those of each answer, what its tools gave, and one `done`. */
export type ToolsEvent<Tools extends ChatTools, Value> =
  | Exclude<ChatEvent<Tools, Value>, { readonly type: "done" }>
  | ToolResult
  | { readonly type: "done"; readonly answer: ToolsAnswer<Tools, Value> };

/** The events of a conversation that its tools go on with. They are read once, as those of `streamChat`. */
export interface ToolsStream<Tools extends ChatTools, Value>
  extends AsyncGenerator<ToolsEvent<Tools, Value>, void, undefined> {
  /** The texts of all answers, in the pieces that the `delta` events have. */
  readonly textStream: PieceStream<string>;
  /** The last answer. Where nobody has begun to read, waiting for it reads the stream. */
  readonly answer: PromiseLike<ToolsAnswer<Tools, Value>>;
}
