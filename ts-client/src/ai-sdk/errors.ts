import { isApiError, isConnectionError, isStreamTruncatedError, isTimeoutError } from "../errors.js";

const MARK = "vercel.ai.error";

/**
 * The same error, which is now an APICallError of the AI SDK as well: its retries, fallbacks and logs know it.
 *
 * What is none of this package's errors, such as the reason of an aborted signal, stays as it is.
 */
export function asApiCallError(error: unknown, url: string, body: object): unknown {
  const facts = factsOf(error);
  if (facts === undefined) return error;
  // For whoever asks for it, and not for every log that an error is printed into: it is what a user said.
  Object.defineProperty(error, "requestBodyValues", { value: body, configurable: true });
  return marked(error as Error, "AI_APICallError", { url, ...facts });
}

/** The AI SDK's own error for a model of a kind that the gateway has not. */
export function noSuchModel(modelType: "embeddingModel" | "imageModel", modelId: string): Error {
  return marked(new Error(`No such ${modelType}: ${modelId}`), "AI_NoSuchModelError", { modelId, modelType });
}

/** The AI SDK's own error for what a model does not read. */
export function unsupported(functionality: string): Error {
  const error = new Error(`The model reads text only, and no ${functionality}.`);
  return marked(error, "AI_UnsupportedFunctionalityError", { functionality });
}

function factsOf(error: unknown): object | undefined {
  if (isConnectionError(error) || isStreamTruncatedError(error)) return { isRetryable: true };
  if (isTimeoutError(error)) return { isRetryable: false };
  if (!isApiError(error)) return undefined;
  const { status, retryable, retryAfter, requestId, problem } = error;
  return {
    statusCode: status,
    isRetryable: retryable,
    responseHeaders: {
      ...(retryAfter !== null && { "retry-after": `${retryAfter}` }),
      ...(requestId !== null && { "x-request-id": requestId }),
    },
    data: problem,
  };
}

/** https://github.com/vercel/ai/blob/main/packages/provider/src/errors/ai-sdk-error.ts: what every copy of it looks at. */
function marked(error: Error, name: string, facts: object): Error {
  const marks = { [Symbol.for(MARK)]: true, [Symbol.for(`${MARK}.${name}`)]: true };
  const named = error.name === "Error" ? { name } : {};
  return Object.assign(error, named, facts, marks);
}
