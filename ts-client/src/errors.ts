// Error
// ├── ApiError              the gateway's answer is a failure
// ├── ConnectionError       no answer, or only a part of one
// ├── TimeoutError          something took longer than the client's timeouts allow
// └── StreamTruncatedError  a stream stopped before its end
//
// A call that its caller aborts throws the reason of the caller's signal, and none of these.

import { hasText, isProblem, member, parseJson } from "./contract.js";
import type { Timeouts } from "./options.js";
import type { ErrorCode, FieldError, Problem } from "./schema.gen.js";

const RETRYABLE_STATUSES = [408, 429, 502, 503, 504];

// Of all copies of this package that a page or a server has loaded: `instanceof` knows one of them only.
const MARK = Symbol.for("torchbridge.error");

export abstract class TorchbridgeError extends Error {
  constructor(name: string, message: string, facts: object, options?: ErrorOptions) {
    super(message, options);
    Object.assign(this, { name }, facts);
  }

  /** @internal */
  get [MARK](): string {
    return this.name;
  }
}

export function guard<Kind extends Error>(name: string): (error: unknown) => error is Kind {
  return (error): error is Kind => member(error, MARK) === name;
}

/**
 * The gateway answered with a failure.
 *
 * An answer that is not the gateway's own, such as the error page of a proxy, has the code `upstream_protocol`.
 */
export class ApiError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "ApiError";
  /** What went wrong, for a `switch`. A gateway newer than this package may send a code that the type does not list. */
  declare readonly code: ErrorCode;
  /** The HTTP status. Within a stream, the one that the answer would have had. */
  declare readonly status: number;
  /** What went wrong, for a person. */
  declare readonly detail: string;
  /** What to quote when you ask the gateway's operator about this failure. */
  declare readonly requestId: string | null;
  /** Whether the same request may succeed later. */
  declare readonly retryable: boolean;
  /** Seconds after which a retry is worth it. */
  declare readonly retryAfter: number | null;
  /** The fields at fault, when `code` is `invalid_request`. */
  declare readonly errors: readonly FieldError[];
  /** All of the above as the gateway sent it (RFC 9457). */
  declare readonly problem: Problem;

  constructor(problem: Problem) {
    const { code, status, detail, retryable = RETRYABLE_STATUSES.includes(status), errors = [] } = problem;
    const { request_id: requestId = null, retry_after: retryAfter = null } = problem;
    const facts = { code, status, detail, requestId, retryable, retryAfter, errors, problem };
    super("ApiError", `API error: ${detail}`, facts);
  }
}

/** The gateway could not be reached, or the connection broke before its whole answer was here. `cause` says why. */
export class ConnectionError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "ConnectionError";
  /** Where the request went. */
  declare readonly url: string;

  constructor(url: string, options?: ErrorOptions) {
    super("ConnectionError", `Connection to ${url} failed`, { url }, options);
  }
}

/** Something took longer than the client's timeouts allow. The request is cancelled, also on the gateway. */
export class TimeoutError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "TimeoutError";
  /** Which of them. */
  declare readonly timeout: keyof Timeouts;

  constructor(timeout: keyof Timeouts, milliseconds: number) {
    super("TimeoutError", `${timeout} of ${milliseconds} is over`, { timeout });
  }
}

/** A stream stopped before its `done` event, so its text is not whole. */
export class StreamTruncatedError extends TorchbridgeError {
  /** The same for every error of this kind. */
  declare readonly name: "StreamTruncatedError";
  /** The text up to there. */
  declare readonly text: string;

  constructor(text: string, options?: ErrorOptions) {
    super("StreamTruncatedError", "The stream stopped before its end", { text }, options);
  }
}

/** Whether it is an {@link ApiError}, also one of another copy of this package. */
export const isApiError: (error: unknown) => error is ApiError = guard("ApiError");
/** Whether it is a {@link ConnectionError}, also one of another copy of this package. */
export const isConnectionError: (error: unknown) => error is ConnectionError = guard("ConnectionError");
/** Whether it is a {@link TimeoutError}, also one of another copy of this package. */
export const isTimeoutError: (error: unknown) => error is TimeoutError = guard("TimeoutError");
/** Whether it is a {@link StreamTruncatedError}, also one of another copy of this package. */
export const isStreamTruncatedError: (error: unknown) => error is StreamTruncatedError = guard("StreamTruncatedError");

/** What a call is aborted with where its caller gives no reason. */
export function abortError(): Error {
  return Object.assign(new Error("The call was aborted"), { name: "AbortError" });
}

/** The error for an answer whose status says that it is a failure. */
export function statusError(response: Response, body: string): ApiError {
  const fallback = protocolProblem(response, `HTTP ${response.status} ${response.statusText}`.trim());
  const sent = parseJson(body);
  // Many servers, FastAPI's own answers among them, send a `detail` without the rest.
  const told = isProblem(sent) ? sent : hasText(sent, "detail") ? { detail: sent.detail } : {};
  // Whatever the body leaves open, a header may tell: of a proxy, when to try again.
  const known = Object.entries(told).filter(([, value]) => value !== null && value !== undefined);
  return new ApiError({ ...fallback, ...Object.fromEntries(known) });
}

/** The error for an answer that says it is a success but is not what the gateway would send. */
export function protocolError(response: Response, reason: string): ApiError {
  return new ApiError(protocolProblem(response, `the answer is not the gateway's: ${reason}`));
}

function protocolProblem(response: Response, detail: string): Problem {
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail,
    code: "upstream_protocol",
    request_id: response.headers.get("x-request-id"),
    retryable: RETRYABLE_STATUSES.includes(response.status),
    retry_after: retryAfterSeconds(response.headers),
    errors: [],
  };
}

/** Whole seconds, or a date, which is read by the clock of whoever sent it where that is told. */
function retryAfterSeconds(headers: Headers): number | null {
  const header = headers.get("retry-after") ?? "";
  if (/^\d+$/.test(header)) return Number(header);
  const date = /:/.test(header) && Date.parse(header);
  const now = Date.parse(headers.get("date") ?? "") || Date.now();
  return date ? Math.max(0, Math.ceil((date - now) / 1_000)) : null;
}
