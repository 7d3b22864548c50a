export { type CallOptions, PythonClient, type PythonClientOptions } from "./client.js";
export { ApiError, ConnectionError, StreamTruncatedError } from "./errors.js";
export type { FetchFunction } from "./http.js";
export type {
  DeltaEvent,
  DoneEvent,
  ErrorCode,
  ErrorEvent,
  FieldError,
  GenerationRequest,
  GenerationResponse,
  Model,
  ModelList,
  ModelVersion,
  Problem,
  StartEvent,
  StreamEvent,
} from "./schema.gen.js";
