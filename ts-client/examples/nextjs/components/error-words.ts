import {
  ApiError,
  isApiError,
  isConnectionError,
  isStreamTruncatedError,
  isTimeoutError,
  type Problem,
} from "torchbridge";
import { isObjectTruncatedError } from "torchbridge/objects";

/** What went wrong, for who sits before the page. */
export function inWords(error: Error): string {
  if (isTimeoutError(error)) return "The model took too long. Try again.";
  if (isStreamTruncatedError(error))
    return "The connection broke before the end. What is here is not the whole answer.";
  if (isConnectionError(error)) return "This page cannot reach its server. Are you online?";
  if (isObjectTruncatedError(error)) return "The answer ended before the form was filled. Try again.";
  if (!isApiError(error)) return "Something went wrong on this page.";
  switch (error.code) {
    case "overloaded":
    case "rate_limited":
      return "Many are asking right now. Try again in a moment.";
    case "worker_died":
    case "generation_failed":
    case "out_of_memory":
      return "The model stopped in the middle of this answer. Try again.";
    case "model_not_ready":
    case "upstream_unavailable":
    case "shutting_down":
      return "The model is not there right now. It should be back in a moment.";
    case "prompt_too_long":
    case "invalid_request":
      return error.detail;
    case "deadline_exceeded":
      return "The model took too long. A shorter answer may do.";
    case "model_not_found":
    case "version_not_found":
      return "This version is no longer served. Choose another one.";
    default:
      return `The server could not answer (${error.code}). Its reference is ${error.requestId ?? "unknown"}.`;
  }
}

/** The same of what `useChat` throws: the body of an answer is its message, and within a stream the problem's own words. */
export function chatErrorInWords(error: Error): string {
  if (error instanceof TypeError) return "This page cannot reach its server. Are you online?"; // as `fetch` says it
  const problem = problemIn(error.message);
  return problem ? inWords(new ApiError(problem)) : error.message;
}

function problemIn(body: string): Problem | undefined {
  try {
    const problem: Partial<Problem> | null = JSON.parse(body);
    return problem?.code && problem.detail ? (problem as Problem) : undefined;
  } catch {
    return undefined;
  }
}
