"""Every failure that leaves the gateway, as RFC 9457 problem details."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from adapter.errors import (
    Internal,
    InvalidRequest,
    MalformedJson,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    TorchbridgeError,
    UnsupportedMediaType,
)
from adapter.schema import FieldError

CONTENT_TYPE = "application/problem+json"

_FIRST_SERVER_ERROR = 500
_MAX_FIELD_ERRORS = 20
_MAX_FIELDS_IN_DETAIL = 3
_MAX_FIELD_CHARACTERS = 100  # an unknown field's name is the caller's own, of any length

# What FastAPI and Starlette raise by themselves; 400 is JSON of good syntax that Python cannot read (deep, huge).
_ERROR_BY_STATUS: dict[int, tuple[type[TorchbridgeError], str]] = {
    400: (MalformedJson, "The body cannot be read as JSON."),
    404: (NotFound, "There is nothing at this address. See /docs for what there is."),
    405: (MethodNotAllowed, "This address does not take this method. See /docs for the one that it takes."),
    413: (PayloadTooLarge, "The request body has more bytes than this gateway takes."),
}

_log = logging.getLogger(__name__)


def problem_response(error: TorchbridgeError, request_id: str | None) -> Response:
    problem = error.to_problem(request_id)
    level = logging.WARNING if problem.status >= _FIRST_SERVER_ERROR else logging.INFO
    _log.log(level, "%s %s: %s (%s)", request_id, problem.code, problem.detail, error.cause)
    headers = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
    return Response(problem.model_dump_json(), problem.status, headers, CONTENT_TYPE)


def install_problem_responses(app: FastAPI) -> None:
    @app.exception_handler(TorchbridgeError)
    async def on_typed_error(request: Request, error: TorchbridgeError) -> Response:
        return problem_response(error, request.state.request_id)

    @app.exception_handler(HTTPException)
    async def on_framework_error(request: Request, error: HTTPException) -> Response:
        kind, detail = _ERROR_BY_STATUS.get(error.status_code, (Internal, "The gateway failed on this request."))
        response = problem_response(kind(detail, cause=str(error)), request.state.request_id)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        return problem_response(_translate(error), request.state.request_id)


def _translate(error: RequestValidationError) -> TorchbridgeError:
    details = error.errors()
    if details[0]["type"] == "json_invalid":
        reason, position = details[0]["ctx"]["error"], details[0]["loc"][-1]
        return MalformedJson(f"The body is not JSON: {reason} at character {position}.")
    if isinstance(error.body, bytes):  # FastAPI parses a body only if its content type says JSON
        return UnsupportedMediaType("The body must be JSON, and the content type application/json.")
    errors = tuple(
        FieldError(field=_field(detail["loc"]), message=detail["msg"]) for detail in details[:_MAX_FIELD_ERRORS]
    )
    return InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors[:_MAX_FIELDS_IN_DETAIL]), errors=errors)


def _field(location: tuple[str | int, ...]) -> str:
    path = ".".join(str(part) for part in location[1:]) or str(location[0])
    return path[:_MAX_FIELD_CHARACTERS]
