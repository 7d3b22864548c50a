"""The catalogue of errors, and a failure as a caller reads it."""

from enum import StrEnum
from typing import Any, NamedTuple, Self

from pydantic import Field

from adapter.sent import Sent


class ErrorCode(StrEnum):
    INVALID_REQUEST = "invalid_request"
    PROMPT_TOO_LONG = "prompt_too_long"
    MALFORMED_JSON = "malformed_json"
    MALFORMED_HTTP = "malformed_http"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    VERSION_NOT_FOUND = "version_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    ADDRESS_TOO_LONG = "address_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limited"
    HEADERS_TOO_LARGE = "headers_too_large"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    WORKER_DIED = "worker_died"
    GENERATION_FAILED = "generation_failed"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    OVERLOADED = "overloaded"
    MODEL_NOT_READY = "model_not_ready"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    SHUTTING_DOWN = "shutting_down"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE_EXCEEDED = "deadline_exceeded"


class ErrorKind(NamedTuple):
    """The facts that all problems of one code share."""

    status: int
    title: str
    retryable: bool = False
    retry_after: int | None = None  # seconds; clients ignore more than 60


ERROR_CATALOGUE: dict[ErrorCode, ErrorKind] = {
    ErrorCode.INVALID_REQUEST: ErrorKind(422, "The request is not valid"),
    ErrorCode.PROMPT_TOO_LONG: ErrorKind(422, "The prompt does not fit into the model's context"),
    ErrorCode.MALFORMED_JSON: ErrorKind(400, "The body is not JSON"),
    ErrorCode.MALFORMED_HTTP: ErrorKind(400, "The request is not valid HTTP"),
    ErrorCode.UNAUTHORIZED: ErrorKind(401, "A valid API key is needed"),
    ErrorCode.FORBIDDEN: ErrorKind(403, "This is not allowed here"),
    ErrorCode.NOT_FOUND: ErrorKind(404, "There is nothing at this address"),
    ErrorCode.MODEL_NOT_FOUND: ErrorKind(404, "There is no such model"),
    ErrorCode.VERSION_NOT_FOUND: ErrorKind(404, "There is no such model version"),
    ErrorCode.METHOD_NOT_ALLOWED: ErrorKind(405, "This address does not take this method"),
    ErrorCode.REQUEST_TIMEOUT: ErrorKind(408, "The request took too long to arrive", retryable=True, retry_after=1),
    ErrorCode.CONFLICT: ErrorKind(409, "This cannot be done as things are now"),
    ErrorCode.PAYLOAD_TOO_LARGE: ErrorKind(413, "The request body is too large"),
    ErrorCode.ADDRESS_TOO_LONG: ErrorKind(414, "The request's address is too long"),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: ErrorKind(415, "This address does not take this type of content"),
    ErrorCode.RATE_LIMITED: ErrorKind(429, "Too many requests in this time", retryable=True, retry_after=1),
    ErrorCode.HEADERS_TOO_LARGE: ErrorKind(431, "The request's headers are too large"),
    ErrorCode.CANCELLED: ErrorKind(499, "The caller went away, or the answer was stopped"),
    ErrorCode.INTERNAL: ErrorKind(500, "The gateway failed"),
    ErrorCode.WORKER_DIED: ErrorKind(502, "The model's worker died", retryable=True, retry_after=2),
    ErrorCode.GENERATION_FAILED: ErrorKind(502, "The model failed on this request"),
    ErrorCode.UPSTREAM_PROTOCOL: ErrorKind(502, "The model server's answer made no sense"),
    ErrorCode.OVERLOADED: ErrorKind(503, "Too many requests are waiting", retryable=True, retry_after=1),
    ErrorCode.MODEL_NOT_READY: ErrorKind(503, "The model is still loading", retryable=True, retry_after=5),
    ErrorCode.UPSTREAM_UNAVAILABLE: ErrorKind(503, "The model server is not there", retryable=True, retry_after=5),
    ErrorCode.SHUTTING_DOWN: ErrorKind(503, "The server is shutting down", retryable=True, retry_after=5),
    ErrorCode.OUT_OF_MEMORY: ErrorKind(503, "The model ran out of memory", retryable=True, retry_after=5),
    ErrorCode.DEADLINE_EXCEEDED: ErrorKind(504, "The answer took too long"),
}


class FieldError(Sent):
    field: str = Field(description="Path of the field, its parts joined by dots.")
    message: str


class Problem(Sent):
    """A failure as RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    request_id: str | None = None
    retryable: bool = False
    retry_after: int | None = Field(default=None, description="Seconds after which a retry is worth it.")
    errors: tuple[FieldError, ...] = ()

    @classmethod
    def of(cls, code: ErrorCode, detail: str, **extra: Any) -> Self:
        """The problem of `code` with everything that the catalogue says of it; `extra` overrides."""
        kind = ERROR_CATALOGUE[code]
        return cls(**{"type": f"urn:torchbridge:error:{code}", "detail": detail, "code": code} | kind._asdict() | extra)
