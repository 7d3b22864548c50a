"""Every failure that leaves the gateway, as RFC 9457 problem details."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from adapter.errors import Internal, MethodNotAllowed, NotFound, TorchbridgeError
from adapter.http.methods import allowed, options_answer
from adapter.http.openai_problem import OpenAIProblem, is_openai
from adapter.http.route_path import route_path
from adapter.validation.request_errors import invalid_request

CONTENT_TYPE = "application/problem+json"

_FIRST_SERVER_ERROR = 500

# Statuses that Starlette raises by itself.
_ERROR_BY_STATUS: dict[int, tuple[type[TorchbridgeError], str]] = {
    404: (NotFound, "There is nothing at this address. See /docs for what there is."),
    405: (MethodNotAllowed, "This address does not take this method. See /docs for the one that it takes."),
}

_log = logging.getLogger(__name__)


def problem_response(error: TorchbridgeError, scope: Scope) -> Response:
    """The answer to the request of `scope`; clients of OpenAI's API find in it what they look for, too."""
    request_id = scope.get("state", {}).get("request_id")
    problem = error.to_problem(request_id)
    level = logging.WARNING if problem.status >= _FIRST_SERVER_ERROR else logging.INFO
    _log.log(level, "%s %s: %s", request_id or "-", problem.code, error.with_cause)  # a command's has no id
    headers = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
    if is_openai(scope):
        problem = OpenAIProblem.from_problem(problem)
        headers["x-should-retry"] = str(problem.retryable).lower()  # otherwise clients retry every 5xx, a deadline too
    return Response(problem.model_dump_json(), problem.status, headers, CONTENT_TYPE)


def install_problem_responses(app: FastAPI) -> None:
    @app.exception_handler(TorchbridgeError)
    async def on_typed_error(request: Request, error: TorchbridgeError) -> Response:
        return problem_response(error, request.scope)

    @app.exception_handler(HTTPException)
    async def on_framework_error(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, TorchbridgeError):  # FastAPI makes a 400 of errors while it reads a body
            return problem_response(error.__cause__, request.scope)
        headers = dict(error.headers or {})
        if "Allow" in headers:
            headers["Allow"] = allowed(app.routes, route_path(request.scope))
        if request.method == "OPTIONS" and ("Allow" in headers or request.scope["path"] == "*"):
            return options_answer(headers.get("Allow"))  # no route takes it, and so the router has refused it
        kind, detail = _ERROR_BY_STATUS.get(error.status_code, (Internal, "The gateway failed on this request."))
        response = problem_response(kind(detail, cause=str(error)), request.scope)
        response.headers.update(headers)
        return response

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        return problem_response(invalid_request(error.errors(), skip=1), request.scope)
