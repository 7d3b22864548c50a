// What the AI SDK and a model say to each other: of its LanguageModelV4, and of the LanguageModelV3 that came before it,
// what this package reads and writes, which is the same in both.
//
// In words of our own: an import of @ai-sdk/provider that a project cannot resolve would make every model `any` in
// silence. ../../test/ai-sdk-types.test.ts holds these to the SDK's.

/** The versions of the specification that a model can be of. */
export type SpecificationVersion = "v3" | "v4";

/** A chat model of a Torchbridge gateway, for the functions of the AI SDK that take a model. */
export interface TorchbridgeModel<Version extends SpecificationVersion = "v4"> {
  /** What the AI SDK looks at to know how to call it. */
  readonly specificationVersion: Version;
  /** Its `providerOptions` have this name, too. */
  readonly provider: "torchbridge";
  /** As the gateway knows it: `tiny`, or `tiny@2.0` for one version. */
  readonly modelId: string;
  /** None: the model reads text only. */
  readonly supportedUrls: Record<string, RegExp[]>;
  /** What `generateText` of the AI SDK calls. */
  doGenerate(call: ModelCall): Promise<ModelAnswer>;
  /** What `streamText` of the AI SDK calls. */
  doStream(call: ModelCall): Promise<ModelStream>;
}

/** A function that makes models, and a provider of the AI SDK, for registries such as `createProviderRegistry`. */
export interface TorchbridgeProvider<Version extends SpecificationVersion = "v4"> {
  (modelId: string): TorchbridgeModel<Version>;
  /** What the AI SDK looks at to know how to call it. */
  readonly specificationVersion: Version;
  /** The same as a call of the provider itself. */
  languageModel(modelId: string): TorchbridgeModel<Version>;
  /** Throws the AI SDK's NoSuchModelError: the gateway has none. */
  embeddingModel(modelId: string): never;
  /** Throws the AI SDK's NoSuchModelError: the gateway has none. */
  imageModel(modelId: string): never;
}

export interface ModelCall {
  readonly prompt: readonly ModelMessage[];
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly stopSequences?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
  readonly tools?: readonly (FunctionTool | ProviderTool)[] | undefined;
  readonly toolChoice?: ToolChoice | undefined;
  readonly reasoning?: string | undefined;
  readonly includeRawChunks?: boolean | undefined;
  readonly abortSignal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly providerOptions?: { readonly torchbridge?: Readonly<Record<string, unknown>> } | undefined;
}

export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json"; readonly schema?: object; readonly name?: string; readonly description?: string };

export interface FunctionTool {
  readonly type: "function";
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: object;
  readonly inputExamples?: readonly object[];
  readonly strict?: boolean;
}

export interface ProviderTool {
  readonly type: "provider";
  readonly id: string;
}

export type ToolChoice =
  | { readonly type: "auto" | "none" | "required" }
  | { readonly type: "tool"; readonly toolName: string };

export type ModelMessage =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: readonly (TextPart | FilePart)[] }
  | { readonly role: "assistant"; readonly content: readonly AssistantPart[] }
  | { readonly role: "tool"; readonly content: readonly (ToolResultPart | { type: "tool-approval-response" })[] };

export type AssistantPart =
  | TextPart
  | FilePart
  | ToolCallPart
  | ToolResultPart
  | { readonly type: "reasoning" | "reasoning-file" | "custom" | "tool-approval-request" };

export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

export interface FilePart {
  readonly type: "file";
  readonly mediaType: string;
  readonly data: unknown;
}

export interface ToolCallPart {
  readonly type: "tool-call";
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
  readonly providerExecuted?: boolean;
}

export interface ToolResultPart {
  readonly type: "tool-result";
  readonly toolCallId: string;
  readonly output: ToolOutput;
}

export type ToolOutput =
  | { readonly type: "text" | "error-text"; readonly value: string }
  | { readonly type: "json" | "error-json"; readonly value: unknown }
  | { readonly type: "execution-denied"; readonly reason?: string }
  | { readonly type: "content"; readonly value: readonly (TextPart | { readonly type: string })[] };

export interface ModelAnswer {
  content: ({ type: "text"; text: string } | ToolCall)[];
  finishReason: FinishReason;
  usage: Usage;
  warnings: Warning[];
  request: { body: object };
  response: { headers: Record<string, string>; id?: string; modelId?: string; timestamp?: Date };
  providerMetadata?: ProviderMetadata;
}

export interface ModelStream {
  stream: ReadableStream<StreamPart>;
  request: { body: object };
  response: { headers: Record<string, string> };
}

export type StreamPart =
  | { type: "stream-start"; warnings: Warning[] }
  | { type: "response-metadata"; id: string; modelId: string; timestamp: Date }
  | { type: "text-start" | "text-end"; id: string }
  | { type: "text-delta"; id: string; delta: string }
  | { type: "tool-input-start"; id: string; toolName: string }
  | { type: "tool-input-delta"; id: string; delta: string }
  | { type: "tool-input-end"; id: string }
  | ToolCall
  | { type: "raw"; rawValue: unknown }
  | { type: "error"; error: unknown }
  | { type: "finish"; finishReason: FinishReason; usage: Usage; providerMetadata: ProviderMetadata };

export interface ToolCall {
  type: "tool-call";
  toolCallId: string;
  toolName: string;
  /** JSON. */
  input: string;
}

export interface FinishReason {
  unified: "stop" | "length" | "content-filter" | "tool-calls" | "error" | "other";
  raw: string | undefined;
}

export interface Usage {
  inputTokens: Record<"total" | "noCache" | "cacheRead" | "cacheWrite", number | undefined>;
  outputTokens: Record<"total" | "text" | "reasoning", number | undefined>;
}

export interface Warning {
  type: "unsupported";
  feature: string;
  details?: string;
}

export type ProviderMetadata = Record<string, Record<string, Json | undefined>>;

export type Json = null | string | number | boolean | Json[] | { [key: string]: Json | undefined };
