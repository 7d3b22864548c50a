import { type ChatMessage, chatMessages } from "./messages.js";
import type { ModelCall, ResponseFormat, ToolChoice, Warning } from "./specification.js";

export interface ChatRequest {
  readonly body: object;
  /** What the answer will be without. What the gateway refuses itself is not among it. */
  readonly warnings: Warning[];
}

// Of `providerOptions`: what this package decides, or would not know how to read the answer to.
const RESERVED = ["model", "messages", "stream", "stream_options", "n", "best_of"];

/**
 * A call of the AI SDK as the body of a request to `/v1/chat/completions`.
 *
 * @throws the AI SDK's UnsupportedFunctionalityError where the model cannot read what it is asked about.
 */
export function chatRequest(modelId: string, call: ModelCall): ChatRequest {
  const features = new Map<string, Warning>();
  const warn = (feature: string, details?: string): void => {
    features.set(feature, { type: "unsupported", feature, ...(details !== undefined && { details }) });
  };
  const messages = chatMessages(call.prompt, (part) => warn(`${part} in a message`, "It is left out."));
  // A hint of which the gateway makes nothing.
  if (!["provider-default", "none", undefined].includes(call.reasoning)) warn("reasoning");
  const body = { ...settings(call, warn), ...ownOptions(call, warn), ...fixed(modelId, messages) };
  return { body, warnings: Array.from(features.values()) };
}

function fixed(model: string, messages: readonly ChatMessage[]): object {
  return { model, messages, stream: true, stream_options: { include_usage: true } };
}

function settings(call: ModelCall, warn: (feature: string) => void): object {
  const tools = (call.tools ?? []).flatMap((tool) => {
    if (tool.type === "provider") {
      warn(`tool ${tool.id} of another provider`);
      return [];
    }
    const { name, description, inputSchema: parameters, inputExamples, strict } = tool;
    if (inputExamples?.length) warn("inputExamples of a tool");
    return [{ type: "function", function: { name, description, parameters, strict } }];
  });
  return {
    max_completion_tokens: call.maxOutputTokens,
    temperature: call.temperature,
    top_p: call.topP,
    top_k: call.topK,
    presence_penalty: call.presencePenalty,
    frequency_penalty: call.frequencyPenalty,
    stop: call.stopSequences?.length ? call.stopSequences : undefined,
    seed: call.seed,
    response_format: responseFormat(call.responseFormat),
    ...(tools.length > 0 && { tools, tool_choice: toolChoice(call.toolChoice) }),
  };
}

/** The `providerOptions` of this provider: fields of the gateway's, in its spelling or in JavaScript's. */
function ownOptions({ providerOptions }: ModelCall, warn: (feature: string) => void): object {
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(providerOptions?.torchbridge ?? {})) {
    const field = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (RESERVED.includes(field)) warn(`providerOptions.torchbridge.${key}`);
    else own[field] = value;
  }
  return own;
}

function responseFormat(format: ResponseFormat | undefined): object | undefined {
  if (format?.type !== "json") return undefined;
  const { schema, name = "response", description } = format;
  if (schema === undefined) return { type: "json_object" };
  return { type: "json_schema", json_schema: { name, description, schema, strict: true } };
}

function toolChoice(choice: ToolChoice | undefined): string | object | undefined {
  return choice?.type === "tool" ? { type: "function", function: { name: choice.toolName } } : choice?.type;
}
