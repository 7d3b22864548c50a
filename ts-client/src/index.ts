export { PythonClient } from "./client.js";
export type { StreamEvent } from "./contract.js";
export {
  ApiError,
  ConnectionError,
  isApiError,
  isConnectionError,
  isStreamTruncatedError,
  isTimeoutError,
  StreamTruncatedError,
  TimeoutError,
} from "./errors.js";
export type {
  Attempt,
  CallOptions,
  FetchFunction,
  Logger,
  PythonClientOptions,
  RequestHeaders,
  RetryHook,
  SchemaResult,
  StandardSchema,
  Timeouts,
} from "./options.js";
export type { GenerationStream, PieceStream } from "./readable.js";
export { type ResponseHead, responseHead } from "./response-head.js";
export type {
  ChoiceOutput,
  DeltaEvent,
  DoneEvent,
  ErrorCode,
  ErrorEvent,
  FieldError,
  GenerationRequest,
  GenerationResponse,
  Health,
  JsonOutput,
  Model,
  ModelList,
  ModelVersion,
  Problem,
  RegexOutput,
  StartEvent,
  TokenLogprob,
  TopLogprob,
} from "./schema.gen.js";
