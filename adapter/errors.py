"""Everything that can go wrong, as one exception tree, and the table that translates TorchServe into it.

TorchbridgeError
├── the caller's:   InvalidRequest · PromptTooLong · MalformedJson · Unauthorized · Forbidden · NotFound ·
│                   ModelNotFound · VersionNotFound · MethodNotAllowed · PayloadTooLarge · UnsupportedMediaType ·
│                   RateLimited · Cancelled
└── the server's:   Internal · WorkerDied · GenerationFailed · UpstreamProtocol · Overloaded · ModelNotReady ·
                    UpstreamUnavailable · ShuttingDown · OutOfMemory · DeadlineExceeded
"""

from typing import ClassVar

from adapter.schema import ErrorCode, FieldError, Problem


class TorchbridgeError(Exception):
    """A failure with a code of the catalogue. `detail` is for the caller's eyes, `cause` for the log's."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(
        self,
        detail: str,
        *,
        cause: str | None = None,
        retry_after: int | None = None,
        errors: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.cause = cause
        self.retry_after = retry_after
        self.errors = errors

    def to_problem(self, request_id: str | None = None) -> Problem:
        extra = {} if self.retry_after is None else {"retry_after": self.retry_after}
        return Problem.of(self.code, self.detail, request_id=request_id, errors=self.errors, **extra)


class InvalidRequest(TorchbridgeError):
    code = ErrorCode.INVALID_REQUEST


class PromptTooLong(TorchbridgeError):
    code = ErrorCode.PROMPT_TOO_LONG


class MalformedJson(TorchbridgeError):
    code = ErrorCode.MALFORMED_JSON


class Unauthorized(TorchbridgeError):
    code = ErrorCode.UNAUTHORIZED


class Forbidden(TorchbridgeError):
    code = ErrorCode.FORBIDDEN


class NotFound(TorchbridgeError):
    code = ErrorCode.NOT_FOUND


class ModelNotFound(TorchbridgeError):
    code = ErrorCode.MODEL_NOT_FOUND


class VersionNotFound(TorchbridgeError):
    code = ErrorCode.VERSION_NOT_FOUND


class MethodNotAllowed(TorchbridgeError):
    code = ErrorCode.METHOD_NOT_ALLOWED


class PayloadTooLarge(TorchbridgeError):
    code = ErrorCode.PAYLOAD_TOO_LARGE


class UnsupportedMediaType(TorchbridgeError):
    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE


class RateLimited(TorchbridgeError):
    code = ErrorCode.RATE_LIMITED


class Cancelled(TorchbridgeError):
    code = ErrorCode.CANCELLED


class Internal(TorchbridgeError):
    code = ErrorCode.INTERNAL


class WorkerDied(TorchbridgeError):
    code = ErrorCode.WORKER_DIED


class GenerationFailed(TorchbridgeError):
    code = ErrorCode.GENERATION_FAILED


class UpstreamProtocol(TorchbridgeError):
    code = ErrorCode.UPSTREAM_PROTOCOL


class Overloaded(TorchbridgeError):
    code = ErrorCode.OVERLOADED


class ModelNotReady(TorchbridgeError):
    code = ErrorCode.MODEL_NOT_READY


class UpstreamUnavailable(TorchbridgeError):
    code = ErrorCode.UPSTREAM_UNAVAILABLE


class ShuttingDown(TorchbridgeError):
    code = ErrorCode.SHUTTING_DOWN


class OutOfMemory(TorchbridgeError):
    code = ErrorCode.OUT_OF_MEMORY


class DeadlineExceeded(TorchbridgeError):
    code = ErrorCode.DEADLINE_EXCEEDED


ERROR_BY_CODE: dict[ErrorCode, type[TorchbridgeError]] = {
    subclass.code: subclass for subclass in TorchbridgeError.__subclasses__()
}


def from_problem(problem: Problem) -> TorchbridgeError:
    """The exception that a worker's `error` event stands for."""
    return ERROR_BY_CODE[problem.code](problem.detail, retry_after=problem.retry_after, errors=problem.errors)
