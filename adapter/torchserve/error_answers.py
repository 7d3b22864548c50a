"""Translates TorchServe's error answers into our errors."""

from pydantic import BaseModel, ValidationError

from adapter.errors import (
    Conflict,
    DeadlineExceeded,
    Forbidden,
    GenerationFailed,
    InvalidRequest,
    KeyRefused,
    MethodNotAllowed,
    ModelNotFound,
    OutOfMemory,
    Overloaded,
    PayloadTooLarge,
    TorchbridgeError,
    UpstreamProtocol,
    VersionNotFound,
    WorkerDied,
)

_Translation = tuple[int, str, type[TorchbridgeError], str]

_UNUSABLE_OUTPUT = "The model's answer could not be used."
_UNUSABLE_URL = "The model store has no such archive, and this address is not one to take archives from."

# Status and beginning of the message, as TorchServe 0.12.0 sends them. Other fields do not tell failures apart: the
# `type` is "InternalServerException" for whatever a worker did. Nor does the status: 503 is a full queue, or one of
# four failures of the model. tests/fixtures/torchserve has an answer for each row; the first row that fits counts.
_TRANSLATIONS: tuple[_Translation, ...] = (
    (400, "Token Authorization failed", KeyRefused, "The model server does not accept the gateway's key."),
    # The token API's answer, and so that of each address with "/token" in it (TokenAuthorizationHandler.java:43).
    (400, "Token Authentication failed", KeyRefused, "The model server does not accept the gateway's key."),
    (404, "Model not found:", ModelNotFound, "There is no such model."),
    (404, "Model version", VersionNotFound, "The model has no such version."),
    (413, "", PayloadTooLarge, "The request is too large for the model server."),
    (500, "Worker died.", WorkerDied, "The model's worker died on this request."),
    # For a worker that was killed by a signal: exit status 137 becomes 507 (WorkerThread.java:303, RestJob.java:242).
    (507, "Worker died.", WorkerDied, "The model's worker was killed on this request."),
    (507, "Out of resources", OutOfMemory, "The model ran out of memory on this request."),
    (507, "Java heap space", OutOfMemory, "The model server ran out of memory."),
    # The same words also if no worker is left (ApiUtils.java:456-477): TextGenerator asks which it is.
    (503, 'Model "', Overloaded, "The model's queue is full."),
    (503, "Prediction failed", GenerationFailed, "The model failed on this request."),
    (503, "Invalid model predict output", GenerationFailed, _UNUSABLE_OUTPUT),
    (503, "number of batch response mismatched", GenerationFailed, _UNUSABLE_OUTPUT),
    (503, "Unsupported model output data type.", GenerationFailed, _UNUSABLE_OUTPUT),
    # From here on, answers of the management API alone.
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


def error_from_answer(status: int, body: bytes) -> TorchbridgeError:
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
