// Error
// ├── ApiError              the gateway's answer is a failure
// ├── ConnectionError       no answer, or only a part of one
// └── StreamTruncatedError  a stream stopped before its end
//
// A call that its caller aborts throws the reason of the caller's signal, and none of these.

import { hasText, isProblem, parseJson } from "./contract.js";
import type { ErrorCode, FieldError, Problem } from "./schema.gen.js";

const RETRYABLE_STATUSES = [408, 429, 502, 503, 504];

/**
 * The gateway answered with a failure.
 *
 * An answer that is not the gateway's own, such as the error page of a proxy, has the code `upstream_protocol`.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** What went wrong, for a `switch`. A gateway newer than this package may send a code that the type does not list. */
  readonly code: ErrorCode;
  readonly status: number;
  /** What went wrong, for a person. */
  readonly detail: string;
  /** What to quote when you ask the gateway's operator about this failure. */
  readonly requestId: string | null;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds after which a retry is worth it. */
  readonly retryAfter: number | null;
  /** The fields at fault, when `code` is `invalid_request`. */
  readonly errors: readonly FieldError[];
  /** All of the above as the gateway sent it (RFC 9457). */
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`API error: ${problem.detail}`);
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail;
    this.requestId = problem.request_id;
    this.retryable = problem.retryable;
    this.retryAfter = problem.retry_after;
    this.errors = problem.errors;
    this.problem = problem;
  }
}

/** The gateway could not be reached, or the connection broke before its whole answer was here. `cause` says why. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly url: string;

  constructor(url: string, options?: ErrorOptions) {
    super(`Connection to ${url} failed`, options);
    this.url = url;
  }
}

/** A stream stopped before its `done` event, so its text is not whole. */
export class StreamTruncatedError extends Error {
  override readonly name = "StreamTruncatedError";
  /** The text up to there. */
  readonly text: string;

  constructor(text: string, options?: ErrorOptions) {
    super("The stream stopped before its end", options);
    this.text = text;
  }
}

/** The error for an answer whose status says that it is a failure. */
export function statusError(response: Response, body: string): ApiError {
  const fallback = protocolProblem(response, `HTTP ${response.status} ${response.statusText}`.trimEnd());
  const sent = parseJson(body);
  if (isProblem(sent)) return new ApiError({ ...fallback, ...sent });
  // Many servers, FastAPI's own answers among them, send a `detail` without the rest.
  if (hasText(sent, "detail")) return new ApiError({ ...fallback, detail: sent.detail });
  return new ApiError(fallback);
}

/** The error for an answer that says it is a success but is not what the gateway would send. */
export function protocolError(response: Response, detail: string): ApiError {
  return new ApiError(protocolProblem(response, detail));
}

function protocolProblem(response: Response, detail: string): Problem {
  const retryAfter = response.headers.get("retry-after") ?? "";
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail,
    code: "upstream_protocol",
    request_id: response.headers.get("x-request-id"),
    retryable: RETRYABLE_STATUSES.includes(response.status),
    retry_after: /^\d+$/.test(retryAfter) ? Number(retryAfter) : null,
    errors: [],
  };
}
