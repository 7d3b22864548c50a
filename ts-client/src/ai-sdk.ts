import { asApiCallError, noSuchModel } from "./ai-sdk/errors.js";
import { chatRequest } from "./ai-sdk/request.js";
import type {
  ModelAnswer,
  ModelCall,
  ModelStream,
  SpecificationVersion,
  StreamPart,
  TorchbridgeModel,
  TorchbridgeProvider,
  Warning,
} from "./ai-sdk/specification.js";
import { streamParts, usageOf } from "./ai-sdk/stream-parts.js";
import { CHAT_PATH, readChunks } from "./chat-stream.js";
import { PythonClient } from "./client.js";
import type { HttpExchange } from "./http.js";
import type { PythonClientOptions } from "./options.js";

export type { SpecificationVersion, TorchbridgeModel, TorchbridgeProvider } from "./ai-sdk/specification.js";

/** What a provider can be told: what a PythonClient can, but for what the AI SDK does itself. */
export type TorchbridgeOptions = Omit<PythonClientOptions, "maxRetries" | "onRetry" | "schemas">;

/**
 * A provider for `ai` 7: `streamText({ model: createTorchbridge()("tiny"), prompt })`. `tiny@2.0` is one version. A
 * conversation goes through the model's own chat template.
 */
export function createTorchbridge(options?: TorchbridgeOptions): TorchbridgeProvider {
  const client = new PythonClient(options);
  return provider("v4", () => client);
}

/** A provider for `ai` 6, which knows no models of specification V4. `ai` 7 takes these as well. */
export function createTorchbridgeV3(options?: TorchbridgeOptions): TorchbridgeProvider<"v3"> {
  const client = new PythonClient(options);
  return provider("v3", () => client);
}

/**
 * For `ai` 7: the gateway that TORCHBRIDGE_BASE_URL names when a model is called, or `http://localhost:8000`, with the key
 * TORCHBRIDGE_API_KEY.
 */
export const torchbridge: TorchbridgeProvider = /* @__PURE__ */ provider("v4", () => new PythonClient());

function provider<Version extends SpecificationVersion>(
  specificationVersion: Version,
  client: () => PythonClient,
): TorchbridgeProvider<Version> {
  const languageModel = (modelId: string): TorchbridgeModel<Version> => ({
    specificationVersion,
    provider: "torchbridge",
    modelId,
    supportedUrls: {},
    doStream: async (call) => toStream(await ask(client(), modelId, call)),
    doGenerate: async (call) => await toAnswer(await ask(client(), modelId, call)),
  });
  return Object.assign((modelId: string) => languageModel(modelId), {
    specificationVersion,
    languageModel,
    embeddingModel(modelId: string): never {
      throw noSuchModel("embeddingModel", modelId);
    },
    imageModel(modelId: string): never {
      throw noSuchModel("imageModel", modelId);
    },
  });
}

/** A call whose answer has begun. */
interface Asked {
  readonly request: { body: object };
  readonly response: { headers: Record<string, string> };
  readonly warnings: Warning[];
  readonly first: IteratorResult<StreamPart, void>;
  readonly rest: AsyncGenerator<StreamPart, void, undefined>;
  readonly exchange: HttpExchange;
}

/** Until the first part is here a failure is one of the call, which the AI SDK tries again where that may help. */
async function ask(client: PythonClient, modelId: string, call: ModelCall): Promise<Asked> {
  const { body, warnings } = chatRequest(modelId, call);
  const told = (error: unknown): unknown => asApiCallError(error, client.baseUrl + CHAT_PATH, body);
  const headers = definedOnly(call.headers);
  try {
    const options = { signal: call.abortSignal, headers, maxRetries: 0 };
    const [exchange, response] = await client.open(CHAT_PATH, body, options, "text/event-stream", "firstTokenMs");
    const rest = streamParts(readChunks(exchange, response), call, warnings, told);
    const first = await rest.next();
    return { request: { body }, response: { headers: headersOf(response) }, warnings, first, rest, exchange };
  } catch (error) {
    throw told(error);
  }
}

function toStream({ request, response, first, rest, exchange }: Asked): ModelStream {
  const stream = new ReadableStream<StreamPart>({
    start(controller) {
      if (!first.done) controller.enqueue(first.value);
    },
    async pull(controller) {
      const next = await rest.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel() {
      // Not by `rest` alone: its `return` waits until the part is here that it is waiting for.
      exchange.close();
      rest.return().catch(() => undefined);
    },
  });
  return { stream, request, response };
}

async function toAnswer({ request, response, warnings, first, rest }: Asked): Promise<ModelAnswer> {
  const finishReason = { unified: "other", raw: undefined } as const;
  const answer: ModelAnswer = { content: [], finishReason, usage: usageOf(undefined), warnings, request, response };
  let text = "";
  for (let next = first; !next.done; next = await rest.next()) {
    const part = next.value;
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.delta;
    if (part.type === "text-end") answer.content.push({ type: "text", text });
    if (part.type === "tool-call") answer.content.push(part);
    if (part.type === "response-metadata") {
      answer.response = { ...response, id: part.id, modelId: part.modelId, timestamp: part.timestamp };
    }
    if (part.type === "finish") {
      answer.finishReason = part.finishReason;
      answer.usage = part.usage;
      answer.providerMetadata = part.providerMetadata;
    }
  }
  return answer;
}

function headersOf(response: Response): Record<string, string> {
  const headers: Record<string, string> = {};
  response.headers.forEach((value, name) => {
    headers[name] = value;
  });
  return headers;
}

function definedOnly(headers: ModelCall["headers"]): Record<string, string> {
  const isDefined = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;
  return Object.fromEntries(Object.entries(headers ?? {}).filter(isDefined));
}
