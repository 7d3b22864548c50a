"""Every failure that a caller is told, as one exception tree.

TorchbridgeError
├── the caller's:   InvalidRequest · PromptTooLong · MalformedJson · MalformedHttp · Unauthorized · Forbidden ·
│                   NotFound · ModelNotFound · VersionNotFound · MethodNotAllowed · RequestTimeout · Conflict ·
│                   PayloadTooLarge · AddressTooLong · UnsupportedMediaType · RateLimited · HeadersTooLarge ·
│                   Cancelled (StreamStopped)
└── the server's:   Internal · WorkerDied · GenerationFailed · UpstreamProtocol · Overloaded · ModelNotReady ·
                    UpstreamUnavailable (KeyRefused, UpstreamLost) · ShuttingDown · OutOfMemory ·
                    DeadlineExceeded (WorkerSilent)
"""

from typing import ClassVar, Self

from adapter.schema import ErrorCode, FieldError, Problem


class TorchbridgeError(Exception):
    """A failure with a code of the catalogue. `detail` is for the caller's eyes, `cause` for the log's.

    `is_final` overrides the catalogue: this failure will not pass, and no retry is worth it.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(
        self,
        detail: str,
        *,
        cause: str | None = None,
        retry_after: int | None = None,
        is_final: bool = False,
        errors: tuple[FieldError, ...] = (),
        received: Problem | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.cause = cause
        self.retry_after = retry_after
        self.is_final = is_final
        self.errors = errors
        self._received = received

    @property
    def with_cause(self) -> str:
        """For the log and the terminal; callers see `detail` only."""
        return f"{self.detail} ({self.cause})" if self.cause else self.detail

    @classmethod
    def of(cls, problem: Problem) -> Self:
        return cls(problem.detail, retry_after=problem.retry_after, errors=problem.errors, received=problem)

    @property
    def problem(self) -> Problem:
        """The problem as the other side sent it, or as we would send it."""
        return self._received or self.to_problem()

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def retryable(self) -> bool:
        return self.problem.retryable

    @property
    def request_id(self) -> str | None:
        return self.problem.request_id

    def to_problem(self, request_id: str | None = None) -> Problem:
        extra: dict[str, bool | int | None] = {}
        if self.is_final:
            extra = {"retryable": False, "retry_after": None}
        elif self.retry_after is not None:
            extra = {"retry_after": self.retry_after}
        return Problem.of(self.code, self.detail, request_id=request_id, errors=self.errors, **extra)


class InvalidRequest(TorchbridgeError):
    code = ErrorCode.INVALID_REQUEST


class PromptTooLong(TorchbridgeError):
    code = ErrorCode.PROMPT_TOO_LONG


class MalformedJson(TorchbridgeError):
    code = ErrorCode.MALFORMED_JSON


class MalformedHttp(TorchbridgeError):
    code = ErrorCode.MALFORMED_HTTP


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


class RequestTimeout(TorchbridgeError):
    code = ErrorCode.REQUEST_TIMEOUT


class Conflict(TorchbridgeError):
    code = ErrorCode.CONFLICT


class PayloadTooLarge(TorchbridgeError):
    code = ErrorCode.PAYLOAD_TOO_LARGE


class AddressTooLong(TorchbridgeError):
    code = ErrorCode.ADDRESS_TOO_LONG


class UnsupportedMediaType(TorchbridgeError):
    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE


class RateLimited(TorchbridgeError):
    code = ErrorCode.RATE_LIMITED


class HeadersTooLarge(TorchbridgeError):
    code = ErrorCode.HEADERS_TOO_LARGE


class Cancelled(TorchbridgeError):
    code = ErrorCode.CANCELLED


class StreamStopped(Cancelled):
    """Somebody has stopped the stream for good: its readers are there, and are told."""


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


class KeyRefused(UpstreamUnavailable):
    """TorchServe did not take our key: renewing it may help."""


class UpstreamLost(UpstreamUnavailable):
    """TorchServe had the request, or a part of it, when its connection broke. For other kinds it has got nothing."""


class ShuttingDown(TorchbridgeError):
    code = ErrorCode.SHUTTING_DOWN


class OutOfMemory(TorchbridgeError):
    code = ErrorCode.OUT_OF_MEMORY


class DeadlineExceeded(TorchbridgeError):
    code = ErrorCode.DEADLINE_EXCEEDED


class WorkerSilent(DeadlineExceeded):
    """A worker that had the request gave no event for SILENCE_TIMEOUT: it stands still, and TorchServe will kill it."""


ERROR_BY_CODE: dict[ErrorCode, type[TorchbridgeError]] = {
    subclass.code: subclass for subclass in TorchbridgeError.__subclasses__()
}


def typed(error: Exception) -> TorchbridgeError:
    """`error` itself, or Internal in place of a bug."""
    if isinstance(error, TorchbridgeError):
        return error
    return Internal("The gateway failed on this request.", cause=type(error).__name__)


def unasked_cancellation() -> Internal:
    """In place of a CancelledError that comes from below, where nobody has cancelled the task itself."""
    return Internal("The gateway failed on this request.", cause="something on its way was cancelled")


def from_problem(problem: Problem) -> TorchbridgeError:
    """The exception that stands for what a worker sent the gateway, or the gateway its caller."""
    return ERROR_BY_CODE[problem.code].of(problem)
