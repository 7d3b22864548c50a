"""Makes of TorchServe's row of a new request a request of the contract, or a refusal in words."""

import logging
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapter.schema import ErrorCode, WorkerRequest

logger = logging.getLogger(__name__)

_MAX_LOGGED_ERRORS = 3

_Model = TypeVar("_Model", bound=BaseModel)


class RefusedRequest(ValueError):
    """A request that ends for a reason of its own, which its caller is told.

    prompt_tokens: of the prompt, 0 where nobody has counted them.
    """

    def __init__(self, code: ErrorCode, detail: str, *, prompt_tokens: int = 0) -> None:
        super().__init__(detail)
        self.code, self.detail, self.prompt_tokens = code, detail, prompt_tokens


class _Identified(BaseModel):
    """The least that a body says of itself, however old or new the gateway that wrote it is."""

    model_config = ConfigDict(strict=True)

    id: str = Field(min_length=1)  # without a limit pydantic lets pass what is no Unicode and no event can hold


def read_request(row: dict[str, Any]) -> WorkerRequest:
    """The request in TorchServe's row of the batch, or RefusedRequest."""
    try:
        return _read(WorkerRequest, row)
    except (ValidationError, TypeError) as error:
        errors = error.errors(include_input=False)[:_MAX_LOGGED_ERRORS] if isinstance(error, ValidationError) else error
        logger.warning("request %s is not in the contract: %s", caller_id(row), errors)
        raise RefusedRequest(ErrorCode.INVALID_REQUEST, "The request is not valid.") from error


def caller_id(row: dict[str, Any]) -> str | None:
    """The id by which the caller knows a request, also one that is not valid: the gateway takes no other's answer."""
    try:
        return _read(_Identified, row).id
    except (ValidationError, TypeError):
        return None


def _read(model: type[_Model], row: dict[str, Any]) -> _Model:
    body = row.get("body", b"")
    if isinstance(body, dict):  # TorchServe parses a body of type application/json
        return model.model_validate(body)
    return model.model_validate_json(body)
