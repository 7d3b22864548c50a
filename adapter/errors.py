"""Everything that can go wrong, as one exception tree, and the table that translates TorchServe into it.

TorchbridgeError
├── the caller's:   InvalidRequest · PromptTooLong · MalformedJson · MalformedHttp · Unauthorized · Forbidden ·
│                   NotFound · ModelNotFound · VersionNotFound · MethodNotAllowed · RequestTimeout · Conflict ·
│                   PayloadTooLarge · AddressTooLong · UnsupportedMediaType · RateLimited · HeadersTooLarge · Cancelled
└── the server's:   Internal · WorkerDied · GenerationFailed · UpstreamProtocol · Overloaded · ModelNotReady ·
                    UpstreamUnavailable (KeyRefused, UpstreamLost) · ShuttingDown · OutOfMemory · DeadlineExceeded
"""

from typing import ClassVar, Self

from pydantic import BaseModel, ValidationError

from adapter.schema import ErrorCode, FieldError, Problem


class TorchbridgeError(Exception):
    """A failure with a code of the catalogue. `detail` is for the caller's eyes, `cause` for the log's.

    `is_final` takes back what the catalogue says of its code: this one will not pass, and no retry is worth it.
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
        """As the other side sent it, or else as we would."""
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
    """TorchServe had the request, or a part of it, when its connection broke. Of every other kind it got nothing."""


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
    """`error` itself, or for a bug what its caller may know of it."""
    if isinstance(error, TorchbridgeError):
        return error
    return Internal("The gateway failed on this request.", cause=type(error).__name__)


def from_problem(problem: Problem) -> TorchbridgeError:
    """The exception that stands for what a worker sent the gateway, or the gateway its caller."""
    return ERROR_BY_CODE[problem.code].of(problem)


_Translation = tuple[int, str, type[TorchbridgeError], str]

_UNUSABLE_OUTPUT = "The model's answer could not be used."
_UNUSABLE_URL = "The model store has no such archive, and this address is not one to take archives from."

# Status and beginning of the message, as TorchServe 0.12.0 sends them: what else there is does not tell. The
# `type` is "InternalServerException" for whatever a worker did, and 503 stands for four different things.
# tests/fixtures/torchserve has an answer for each row; the first row that fits counts.
_TRANSLATIONS: tuple[_Translation, ...] = (
    (400, "Token Authorization failed", KeyRefused, "The model server does not accept the gateway's key."),
    # What the token API says, and so each address with "/token" in it (TokenAuthorizationHandler.java:43).
    (400, "Token Authentication failed", KeyRefused, "The model server does not accept the gateway's key."),
    (404, "Model not found:", ModelNotFound, "There is no such model."),
    (404, "Model version", VersionNotFound, "The model has no such version."),
    (413, "", PayloadTooLarge, "The request is too large for the model server."),
    (500, "Worker died.", WorkerDied, "The model's worker died on this request."),
    # Of a worker that was killed by a signal: exit status 137 becomes 507 (WorkerThread.java:303, RestJob.java:242).
    (507, "Worker died.", WorkerDied, "The model's worker was killed on this request."),
    (507, "Out of resources", OutOfMemory, "The model ran out of memory on this request."),
    (507, "Java heap space", OutOfMemory, "The model server ran out of memory."),
    # Also when no worker is left, in the very same words (ApiUtils.java:456-477): TextGenerator asks which it is.
    (503, 'Model "', Overloaded, "The model's queue is full."),
    (503, "Prediction failed", GenerationFailed, "The model failed on this request."),
    (503, "Invalid model predict output", GenerationFailed, _UNUSABLE_OUTPUT),
    (503, "number of batch response mismatched", GenerationFailed, _UNUSABLE_OUTPUT),
    (503, "Unsupported model output data type.", GenerationFailed, _UNUSABLE_OUTPUT),
    # From here on, what only the management API says.
    (400, "Parameter url is required.", InvalidRequest, "The archive is not named."),
    (400, "Invalid RuntimeType value", InvalidRequest, "TorchServe does not know this runtime."),
    (400, "max_worker cannot be less", InvalidRequest, "The most workers are fewer than the least."),
    (400, "Failed to download archive", InvalidRequest, "The archive cannot be downloaded."),
    (400, "Model ", InvalidRequest, "The archive's manifest is not complete."),
    (404, "Model not found at:", InvalidRequest, _UNUSABLE_URL),
    (404, "Relative path is not allowed", InvalidRequest, _UNUSABLE_URL),
    (404, "Given URL", InvalidRequest, _UNUSABLE_URL),
    (403, "Cannot remove default version", Forbidden, "The default version stays while there are others."),
    (405, "Requested method", MethodNotAllowed, "TorchServe does not do this; its model API may be switched off."),
    (408, "Timed out", DeadlineExceeded, "The model's workers did not end in time."),
    (409, "Model version", Conflict, "This version of the model is already registered."),
    (500, "Model file already exists", Conflict, "The model store already has an archive of this name."),
    # Not ModelNotReady: by now the version is unregistered again, and no waiting makes it ready.
    (500, "Failed to start workers", WorkerDied, "The model's worker died while it loaded the model."),
)

_MAX_CAUSE_CHARACTERS = 500


class _TorchServeFailure(BaseModel):
    message: str = ""


def from_torchserve(status: int, body: bytes) -> TorchbridgeError:
    """The exception for one of TorchServe's answers; its own words go to `cause`, for the log only."""
    cause = f"TorchServe answered {status}: {body.decode(errors='replace')[:_MAX_CAUSE_CHARACTERS]!r}"
    try:
        message = _TorchServeFailure.model_validate_json(body).message if body else ""
    except ValidationError:
        return UpstreamProtocol("The model server's answer is not one of its own.", cause=cause)
    for known_status, beginning, error, detail in _TRANSLATIONS:
        if status == known_status and message.startswith(beginning):
            return error(detail, cause=cause)
    return UpstreamProtocol("The model server gave an answer that nobody expected.", cause=cause)
