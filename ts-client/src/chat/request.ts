import { jsonSchemaOf, type ObjectSchema, type StandardJsonSchema } from "../objects/schema.js";

/** What was said, as OpenAI's API has it. */
export type ChatMessage =
  | { readonly role: "system" | "developer" | "user"; readonly content: string }
  | AssistantMessage
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string };

/** What the model said. */
export interface AssistantMessage {
  /** Whose message it is. */
  readonly role: "assistant";
  /** Its text; null where there is none, but calls. */
  readonly content: string | null;
  /** What it called. The arguments are JSON. */
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly type: "function";
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
}

/** A tool that a model may call. */
export interface ChatTool {
  /** What it does, for the model. */
  readonly description?: string;
  /** Of its arguments. The arguments of a call have the type of a Standard Schema's values. */
  readonly parameters: ObjectSchema<unknown>;
}

/** Tools by their names. */
export type ChatTools = Readonly<Record<string, ChatTool>>;

/** A call of one of these tools: `call.name` tells TypeScript what its arguments are. */
export type ToolCallOf<Tools extends ChatTools> = {
  [Name in keyof Tools & string]: {
    readonly id: string;
    readonly name: Name;
    /** Valid by the tool's schema, and as the schema makes them. */
    readonly arguments: Tools[Name]["parameters"] extends StandardJsonSchema<infer Value, infer _> ? Value : unknown;
  };
}[keyof Tools & string];

/** A conversation to go on with, and how. What is left out is as the model's authors recommend. */
export interface ChatRequest<Tools extends ChatTools, Value> {
  /** What was said so far. */
  readonly messages: readonly ChatMessage[];
  /** `tiny`, or `tiny@2.0` for one version. Left out, the gateway's default. */
  readonly model?: string | undefined;
  /** Whether the answer goes on with the text of the last message, which is the assistant's. */
  readonly continue_final_message?: boolean | undefined;
  /** What the model may call, by name. */
  readonly tools?: Tools | undefined;
  /** Whether it has to call a tool, and which. `auto`. */
  readonly tool_choice?:
    | "auto"
    | "none"
    | "required"
    | { readonly type: "function"; readonly function: { readonly name: keyof Tools & string } }
    | undefined;
  /** Whether it may call several at once. */
  readonly parallel_tool_calls?: boolean | undefined;
  /** What its text has to be: then the answer has an `object`. */
  readonly output?: ObjectSchema<Value, unknown> | undefined;
  /** Most tokens to generate. */
  readonly max_tokens?: number | undefined;
  /** Fewest tokens to generate. */
  readonly min_tokens?: number | undefined;
  /** 0 always takes the likeliest token. */
  readonly temperature?: number | undefined;
  /** Sample among the likeliest tokens that together reach this probability. */
  readonly top_p?: number | undefined;
  /** Sample among this many likeliest tokens. */
  readonly top_k?: number | undefined;
  /** Sample among tokens of at least this part of the likeliest's probability. */
  readonly min_p?: number | undefined;
  /** Above 1 makes tokens that were already used less likely. */
  readonly repetition_penalty?: number | undefined;
  /** Taken off a token's logit for each time that the answer has it already. */
  readonly frequency_penalty?: number | undefined;
  /** Taken off a token's logit once, if the answer has it already. */
  readonly presence_penalty?: number | undefined;
  /** Added to the logits of tokens, by their ids. */
  readonly logit_bias?: Readonly<Record<string, number>> | undefined;
  /** The answer ends before any of these. */
  readonly stop?: string | readonly string[] | undefined;
  /** The same seed gives the same answer. */
  readonly seed?: number | undefined;
  /** Whether to go on where the model would end its answer. */
  readonly ignore_eos?: boolean | undefined;
  /** Who asks, for the operator's canaries. */
  readonly user?: string | undefined;
}

/** @throws TypeError where a schema cannot tell its JSON schema, or what the schema itself throws. */
export function chatBody<Tools extends ChatTools, Value>({
  tools,
  output,
  tool_choice,
  parallel_tool_calls,
  ...settings
}: ChatRequest<Tools, Value>): object {
  const offered = Object.entries(tools ?? {}).map(([name, { description, parameters }]) => ({
    type: "function",
    function: { name, description, parameters: jsonSchemaOf(parameters) },
  }));
  return {
    ...settings,
    ...(offered.length > 0 && { tools: offered, tool_choice, parallel_tool_calls }),
    ...(output && { response_format: responseFormat(output) }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function responseFormat(output: ObjectSchema<unknown, unknown>): object {
  return { type: "json_schema", json_schema: { name: "response", schema: jsonSchemaOf(output), strict: true } };
}
