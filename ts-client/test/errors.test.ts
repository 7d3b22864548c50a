import { afterEach, describe, expect, expectTypeOf, it, vi } from "vitest";
import { ApiError, protocolError, statusError } from "../src/errors.js";
import { ConnectionError, type ErrorCode, StreamTruncatedError } from "../src/index.js";
import { PROBLEM } from "./wire.js";

afterEach(() => void vi.useRealTimers());

describe("statusError", () => {
  it("carries all of a problem", () => {
    const error = statusError(new Response(null, { status: 503 }), JSON.stringify(PROBLEM));
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toBe(`API error: ${PROBLEM.detail}`);
    expect(error).toMatchObject({
      name: "ApiError",
      code: "overloaded",
      status: 503,
      detail: PROBLEM.detail,
      requestId: "4b1f",
      retryable: true,
      retryAfter: 1,
      errors: [],
      problem: PROBLEM,
    });
  });

  it("fills in what a problem leaves out", () => {
    const response = new Response(null, { status: 422, headers: { "x-request-id": "77" } });
    const error = statusError(response, '{"detail": "no prompt", "code": "invalid_request"}');
    expect(error).toMatchObject({
      code: "invalid_request",
      status: 422,
      requestId: "77",
      retryable: false,
      errors: [],
    });
  });

  it.each([
    ["an HTML page", "<html>Bad Gateway</html>"],
    ["nothing", ""],
    ["JSON of another shape", '{"error": {"message": "?"}}'],
    ["JSON that is not an object", "null"],
  ])("tells the status when the body is %s", (_, body) => {
    const response = new Response(body, { status: 502, statusText: "Bad Gateway", headers: { "retry-after": "7" } });
    expect(statusError(response, body)).toMatchObject({
      message: "API error: HTTP 502 Bad Gateway",
      code: "upstream_protocol",
      status: 502,
      retryable: true,
      retryAfter: 7,
      requestId: null,
    });
  });

  it("tells the status also where HTTP/2 gives it no text", () => {
    expect(statusError(new Response(null, { status: 504 }), "").message).toBe("API error: HTTP 504");
  });

  it("uses a detail that comes without a code", () => {
    const error = statusError(new Response(null, { status: 404 }), '{"detail": "Not Found"}');
    expect(error).toMatchObject({ message: "API error: Not Found", code: "upstream_protocol", status: 404 });
  });

  it("takes from the headers what a problem leaves open", () => {
    const headers = { "retry-after": "20", "x-request-id": "77" };
    const body = JSON.stringify({ ...PROBLEM, retry_after: null, request_id: null, errors: null });
    const error = statusError(new Response(null, { status: 503, headers }), body);
    expect(error).toMatchObject({ code: "overloaded", retryAfter: 20, requestId: "77", errors: [] });
  });

  it("reads a Retry-After that is a date by the clock of whoever sent it", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-22T12:00:00Z") });
    const headers = { date: "Sun, 22 Nov 2026 13:00:00 GMT", "retry-after": "Sun, 22 Nov 2026 13:00:30 GMT" };
    expect(statusError(new Response(null, { status: 503, headers }), "").retryAfter).toBe(30);
  });

  it.each([
    ["a date to come", "Sun, 22 Nov 2026 13:00:30 GMT", 30],
    ["a date that has passed", "Sun, 22 Nov 2020 13:00:00 GMT", 0],
    ["neither seconds nor a date", "soon", null],
    ["neither, with the colon of a time", "at 5:00", null],
    ["a part of a second", "1.5", null],
    ["negative", "-1", null],
    ["a number as no header writes it", "1e3", null],
    ["two at once", "120, 120", null],
  ])("reads a Retry-After that is %s", (_, header, expected) => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-22T13:00:00Z") });
    const response = new Response(null, { status: 503, headers: { "retry-after": header } });
    expect(statusError(response, "").retryAfter).toBe(expected);
  });
});

describe("protocolError", () => {
  it("keeps the status and the request id of the answer", () => {
    const response = new Response(null, { status: 200, headers: { "x-request-id": "77" } });
    expect(protocolError(response, "what is this")).toMatchObject({
      message: "API error: the answer is not the gateway's: what is this",
      code: "upstream_protocol",
      status: 200,
      requestId: "77",
      retryable: false,
    });
  });
});

it("gives every error its name, its own facts and its cause", () => {
  const cause = new TypeError("fetch failed");
  const connectionError = new ConnectionError("http://gateway/generate", { cause });
  expect(connectionError).toMatchObject({ name: "ConnectionError", url: "http://gateway/generate", cause });
  expect(connectionError.message).toContain("http://gateway/generate");
  expect(new StreamTruncatedError("so far", { cause })).toMatchObject({
    name: "StreamTruncatedError",
    text: "so far",
    cause,
  });
});

describe("ErrorCode", () => {
  // That this compiles is the test: without one of the cases, `code` is not `never` in the default.
  function isFaultOfTheCaller(code: ErrorCode): boolean {
    switch (code) {
      case "invalid_request":
      case "prompt_too_long":
      case "malformed_json":
      case "malformed_http":
      case "unauthorized":
      case "forbidden":
      case "not_found":
      case "model_not_found":
      case "version_not_found":
      case "method_not_allowed":
      case "request_timeout":
      case "conflict":
      case "payload_too_large":
      case "address_too_long":
      case "unsupported_media_type":
      case "rate_limited":
      case "headers_too_large":
      case "cancelled":
        return true;
      case "internal":
      case "worker_died":
      case "generation_failed":
      case "upstream_protocol":
      case "overloaded":
      case "model_not_ready":
      case "upstream_unavailable":
      case "shutting_down":
      case "out_of_memory":
      case "deadline_exceeded":
        return false;
      default:
        expectTypeOf(code).toBeNever();
        throw new TypeError(`unknown code: ${code satisfies never}`);
    }
  }

  it("is a union that a switch can exhaust", () => {
    const error = new ApiError(PROBLEM);
    expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
    expectTypeOf<"no_such_code">().not.toExtend<ErrorCode>();
    expect(isFaultOfTheCaller(error.code)).toBe(false);
  });
});
