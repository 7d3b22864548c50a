import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
  LanguageModelV3Usage,
} from "@ai-sdk/provider";
import { readChunks } from "./chat-stream.js";
import { PythonClient } from "./client.js";
import type { PythonClientOptions } from "./options.js";

const PATH = "/v1/chat/completions";
const TEXT_ID = "0";

/**
 * A function that makes models for the AI SDK, versions 6 and 7: `streamText({ model: torchbridge("tiny"), prompt })`.
 * `tiny@2.0` is one version. A conversation goes through the model's own chat template.
 */
export function createTorchbridge(options?: PythonClientOptions): (modelId: string) => LanguageModelV3 {
  const client = new PythonClient(options);
  return (modelId) => ({
    specificationVersion: "v3",
    provider: "torchbridge",
    modelId,
    supportedUrls: {},
    doStream: (call) => stream(client, modelId, call),
    doGenerate: (call) => generate(client, modelId, call),
  });
}

/** The gateway that the environment variable TORCHBRIDGE_BASE_URL names, or `http://localhost:8000`. */
export const torchbridge: (modelId: string) => LanguageModelV3 = (modelId) => createTorchbridge()(modelId);

async function stream(
  client: PythonClient,
  modelId: string,
  call: LanguageModelV3CallOptions,
): Promise<LanguageModelV3StreamResult> {
  const body = requestBody(modelId, call);
  const parts = streamParts(client, body, call);
  // Up to here a failure is one of the call, and the AI SDK's own `onError` hears of it as such.
  const first = await parts.next();
  return {
    request: { body },
    stream: new ReadableStream<LanguageModelV3StreamPart>({
      start(controller) {
        if (!first.done) controller.enqueue(first.value);
      },
      async pull(controller) {
        try {
          const next = await parts.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          controller.enqueue({ type: "error", error });
          controller.close();
        }
      },
      async cancel() {
        await parts.return();
      },
    }),
  };
}

async function* streamParts(
  client: PythonClient,
  body: object,
  call: LanguageModelV3CallOptions,
): AsyncGenerator<LanguageModelV3StreamPart, void, undefined> {
  let finishReason: LanguageModelV3FinishReason = { unified: "other", raw: undefined };
  let usage = usageOf(undefined, undefined);
  let isFirst = true;
  const [exchange, response] = await client.open(PATH, body, callOptions(call), "text/event-stream", "firstTokenMs");
  try {
    exchange.start("idleMs");
    for await (const chunk of readChunks(response)) {
      exchange.throwIfAborted();
      exchange.stop("idleMs"); // how long the caller takes is no fault of the gateway's
      if (isFirst) {
        isFirst = false;
        yield { type: "stream-start", warnings: warningsOf(call) };
        yield { type: "response-metadata", id: chunk.id, modelId: chunk.model, timestamp: new Date() };
        yield { type: "text-start", id: TEXT_ID };
      }
      if (chunk.text !== "") {
        exchange.stop("firstTokenMs");
        yield { type: "text-delta", id: TEXT_ID, delta: chunk.text };
      }
      if (chunk.finishReason !== undefined) {
        finishReason = { unified: chunk.finishReason === "length" ? "length" : "stop", raw: chunk.finishReason };
      }
      if (chunk.usage !== undefined) usage = usageOf(chunk.usage.prompt_tokens, chunk.usage.completion_tokens);
      exchange.start("idleMs");
    }
  } catch (error) {
    exchange.throwIfAborted();
    throw error;
  } finally {
    exchange.close();
  }
  yield { type: "text-end", id: TEXT_ID };
  yield { type: "finish", finishReason, usage };
}

async function generate(
  client: PythonClient,
  modelId: string,
  call: LanguageModelV3CallOptions,
): Promise<LanguageModelV3GenerateResult> {
  const body = requestBody(modelId, call);
  let text = "";
  const result: LanguageModelV3GenerateResult = {
    content: [],
    finishReason: { unified: "other", raw: undefined },
    usage: usageOf(undefined, undefined),
    warnings: warningsOf(call),
    request: { body },
  };
  for await (const part of streamParts(client, body, call)) {
    if (part.type === "text-delta") text += part.delta;
    if (part.type === "response-metadata") result.response = { ...part };
    if (part.type === "finish") Object.assign(result, { finishReason: part.finishReason, usage: part.usage });
  }
  result.content.push({ type: "text", text });
  return result;
}

function requestBody(modelId: string, call: LanguageModelV3CallOptions): object {
  return {
    model: modelId,
    messages: call.prompt.map((message) => ({ role: message.role, content: textOf(message) })),
    max_completion_tokens: call.maxOutputTokens,
    temperature: call.temperature,
    top_p: call.topP,
    top_k: call.topK,
    stop: call.stopSequences?.length ? call.stopSequences : undefined,
    seed: call.seed,
    stream: true,
    stream_options: { include_usage: true },
  };
}

function callOptions({ abortSignal, headers }: LanguageModelV3CallOptions): {
  signal: AbortSignal | undefined;
  headers: Record<string, string>;
} {
  const sent = Object.entries(headers ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { signal: abortSignal, headers: Object.fromEntries(sent) };
}

function textOf(message: LanguageModelV3Message): string {
  if (message.role === "system") return message.content;
  return message.content
    .map((part) => {
      if (part.type !== "text") throw new TypeError(`The model reads text only, and no ${part.type}.`);
      return part.text;
    })
    .join("");
}

/** What the model does not do is said, and not silently left out. */
function warningsOf(call: LanguageModelV3CallOptions): LanguageModelV3GenerateResult["warnings"] {
  const isJson = call.responseFormat?.type === "json";
  return [
    ...(call.tools?.length ? [{ type: "unsupported" as const, feature: "tools" }] : []),
    ...(isJson ? [{ type: "unsupported" as const, feature: "responseFormat" }] : []),
    ...(call.presencePenalty ? [{ type: "unsupported" as const, feature: "presencePenalty" }] : []),
    ...(call.frequencyPenalty ? [{ type: "unsupported" as const, feature: "frequencyPenalty" }] : []),
  ];
}

function usageOf(prompt: number | undefined, completion: number | undefined): LanguageModelV3Usage {
  return {
    inputTokens: { total: prompt, noCache: prompt, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: completion, text: completion, reasoning: undefined },
  };
}
