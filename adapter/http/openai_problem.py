"""A failure as OpenAI's clients read it: our problem details with their `error` object as one more member."""

from typing import Self

from starlette.types import Scope

from adapter.http.route_path import route_path
from adapter.schema import ErrorCode, Problem
from adapter.sent import Sent

_TYPE_BY_STATUS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_FIRST_SERVER_ERROR = 500
# OpenAI's own code and status for what many clients act on: they try a model with a larger context, or shorten the
# conversation (LiteLLM, LangChain, Cline, Roo Code, opencode, Strands; some look at the code only with 400).
_OPENAIS_OWN = {ErrorCode.PROMPT_TOO_LONG: ("context_length_exceeded", 400)}
_PARAM_BY_CODE = {ErrorCode.MODEL_NOT_FOUND: "model", ErrorCode.VERSION_NOT_FOUND: "model"}


class OpenAIError(Sent):
    message: str
    type: str
    param: str | None
    code: str


class OpenAIProblem(Problem):
    error: OpenAIError

    @classmethod
    def from_problem(cls, problem: Problem) -> Self:
        code, status = _OPENAIS_OWN.get(problem.code, (problem.code.value, problem.status))
        error = OpenAIError(
            message=problem.detail,
            type=_type(status),
            param=problem.errors[0].field if problem.errors else _PARAM_BY_CODE.get(problem.code),
            code=code,
        )
        return cls(**dict(problem) | {"status": status, "error": error})


def is_openai(scope: Scope) -> bool:
    """Whether the caller speaks OpenAI's API, be there a route for the request or not."""
    return route_path(scope).startswith("/v1/")


def _type(status: int) -> str:
    return _TYPE_BY_STATUS.get(status, "server_error" if status >= _FIRST_SERVER_ERROR else "invalid_request_error")
