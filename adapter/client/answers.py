"""Turns a gateway's answer into a body or an exception.

Fields and codes that only a newer gateway knows are passed over.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from adapter.client.retry_after import retry_after_seconds
from adapter.errors import ERROR_BY_CODE, TorchbridgeError, UpstreamProtocol
from adapter.schema import ErrorCode, GenerationResponse, Problem

_KNOWN_CODES = {str(code) for code in ErrorCode}
_RETRYABLE_STATUSES = {408, 429, 502, 503, 504}

_Body = TypeVar("_Body", bound=BaseModel)


class Head(NamedTuple):
    """The part of an answer that comes before its body."""

    url: str
    status: int
    reason: str
    headers: Mapping[str, str]

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id")


def _with_known_code(problem: Any) -> Any:
    """A code that only a newer gateway knows counts as `internal`; the problem's `type` still names it."""
    match problem:
        case {"code": str(code)} if code not in _KNOWN_CODES:
            return {**problem, "code": ErrorCode.INTERNAL}
    return problem


_SentProblem = Annotated[Problem, BeforeValidator(_with_known_code)]
_SENT_PROBLEM: TypeAdapter[Problem] = TypeAdapter(_SentProblem)


class _SentBatch(BaseModel):
    results: tuple[GenerationResponse | _SentProblem, ...]


def body_reader(model: type[_Body]) -> Callable[[Head, bytes], _Body]:
    return lambda head, content: _read(head, content, model)


def read_batch(head: Head, content: bytes) -> tuple[GenerationResponse | Problem, ...]:
    return _read(head, content, _SentBatch).results


def _read(head: Head, content: bytes, model: type[_Body]) -> _Body:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        beginning = content.decode(errors="replace")[:100]
        raise protocol_error(head, f"the answer is not the gateway's: {beginning}") from error


def status_error(head: Head, content: bytes) -> TorchbridgeError:
    """The exception for an answer whose status says that it is a failure. content: empty where it broke off."""
    match parse_json(content):
        case {"detail": str(), "code": str()} as sent:
            return problem_error(head, sent)
        case {"detail": str(detail)}:  # many servers, FastAPI's own answers among them, send it without the rest
            return protocol_error(head, detail)
    return protocol_error(head, f"HTTP {head.status} {head.reason}".rstrip())


def parse_json(text: str | bytes) -> Any:
    """The value that `text` stands for, or None if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def problem_error(head: Head, sent: dict[str, Any]) -> TorchbridgeError:
    """The exception of the problem's code, and a plain TorchbridgeError where the code is unknown.

    sent: the body, whose `detail` and `code` are texts.
    """
    fallback = _protocol_problem(head, sent["detail"])
    try:
        problem = _SENT_PROBLEM.validate_python({**dict(fallback), **sent})
    except ValidationError:
        return UpstreamProtocol.of(fallback)
    error = ERROR_BY_CODE[problem.code] if problem.code == sent["code"] else TorchbridgeError
    return error.of(problem)


def protocol_error(head: Head, detail: str) -> UpstreamProtocol:
    """The exception for an answer that is not the gateway's, such as the page of a proxy."""
    return UpstreamProtocol.of(_protocol_problem(head, detail))


def _protocol_problem(head: Head, detail: str) -> Problem:
    return Problem(
        type="about:blank",
        title=head.reason,
        status=head.status,
        detail=detail,
        code=ErrorCode.UPSTREAM_PROTOCOL,
        request_id=head.request_id,
        retryable=head.status in _RETRYABLE_STATUSES,
        retry_after=retry_after_seconds(head.headers.get("retry-after", "")),
    )
