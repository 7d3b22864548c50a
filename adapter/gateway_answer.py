"""What a gateway's answer means to its caller: a body, events, or one of three kinds of exceptions.

├── TorchbridgeError  the answer is a failure: adapter/errors.py has one for each code
├── ConnectionFailed  no answer, or only a part of one
└── StreamTruncated   a stream stopped before its end

What is new in a newer gateway's answers is passed over: fields, types of events and, in a problem, codes.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import requests
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError
from urllib3.exceptions import HTTPError

from adapter.errors import ERROR_BY_CODE, TorchbridgeError, UpstreamProtocol
from adapter.event_stream import EventStreamDecoder, EventStreamError
from adapter.retry_after import retry_after_seconds
from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, GenerationResponse, Problem, StartEvent

TextEvent = Annotated[StartEvent | DeltaEvent | DoneEvent, Field(discriminator="type")]

_TEXT_EVENT: TypeAdapter[TextEvent] = TypeAdapter(TextEvent)
_KNOWN_TYPES = {"start", "delta", "done", "error"}
_KNOWN_CODES = {str(code) for code in ErrorCode}
_RETRYABLE_STATUSES = {408, 429, 502, 503, 504}

_Body = TypeVar("_Body", bound=BaseModel)


class ConnectionFailed(ConnectionError):
    """The gateway could not be reached, or the connection broke before its whole answer was here."""

    def __init__(self, url: str) -> None:
        super().__init__(f"Connection to {url} failed")
        self.url = url


class StreamTruncated(Exception):
    """A stream stopped before its `done` event, so its text is not whole; `text` is what there is of it."""

    def __init__(self, text: str) -> None:
        super().__init__("The stream stopped before its end")
        self.text = text


def _with_known_code(problem: Any) -> Any:
    """A code that only a newer gateway knows counts as `internal`; the problem's `type` still names it."""
    match problem:
        case {"code": str(code)} if code not in _KNOWN_CODES:
            return {**problem, "code": ErrorCode.INTERNAL}
    return problem


_SentProblem = Annotated[Problem, BeforeValidator(_with_known_code)]
_SENT_PROBLEM: TypeAdapter[Problem] = TypeAdapter(_SentProblem)


class SentBatch(BaseModel):
    results: tuple[GenerationResponse | _SentProblem, ...]


def read_body(response: requests.Response, model: type[_Body]) -> _Body:
    try:
        content = response.content
    except requests.RequestException as error:
        raise ConnectionFailed(response.url) from error
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        beginning = content.decode(errors="replace")[:100]
        raise _protocol_error(response, f"the answer is not the gateway's: {beginning}") from error


def read_events(response: requests.Response) -> Iterator[TextEvent]:
    """The events up to and with `done`; every other end is an exception."""
    content_type = response.headers.get("content-type", "no content type")
    if not content_type.lower().startswith("text/event-stream"):
        raise _protocol_error(response, f"expected an event stream, but the answer has {content_type}")
    decoder = EventStreamDecoder()
    text = ""
    while chunk := _read_chunk(response, text):
        try:
            for data in decoder.feed(chunk):
                event = _parse(data, response)
                if event is None:
                    continue
                yield event
                if isinstance(event, DoneEvent):
                    return
                if isinstance(event, DeltaEvent):
                    text += event.text
        except EventStreamError as error:
            raise _protocol_error(response, f"the stream is not the gateway's: {error}") from error
    raise StreamTruncated(text)


def status_error(response: requests.Response) -> TorchbridgeError:
    """The exception for an answer whose status says that it is a failure."""
    try:
        sent = _parse_json(response.content)
    except requests.RequestException:
        sent = None
    match sent:
        case {"detail": str(), "code": str()}:
            return _problem_error(sent, response)
        case {"detail": str(detail)}:  # many servers, FastAPI's own answers among them, send it without the rest
            return _protocol_error(response, detail)
    return _protocol_error(response, f"HTTP {response.status_code} {response.reason}".rstrip())


def _read_chunk(response: requests.Response, text_so_far: str) -> bytes:
    try:
        # Unlike iter_content it does not wait for the end of an answer that a proxy sends without chunks.
        return response.raw.read1(decode_content=True) or b""
    except (HTTPError, OSError) as error:
        raise StreamTruncated(text_so_far) from error


def _parse(data: str, response: requests.Response) -> TextEvent | None:
    sent = _parse_json(data)
    match sent:
        case {"type": "error", "problem": {"detail": str(), "code": str()} as problem}:
            raise _problem_error(problem, response)
        case {"type": str(kind)} if kind not in _KNOWN_TYPES:
            return None
    try:
        return _TEXT_EVENT.validate_python(sent)
    except ValidationError as error:
        raise EventStreamError(f"not an event: {data[:100]}") from error


def _parse_json(text: str | bytes) -> Any:
    """The value that `text` stands for, or None if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _problem_error(sent: dict[str, Any], response: requests.Response) -> TorchbridgeError:
    """The exception of the problem's code, and a plain TorchbridgeError where the code is unknown."""
    fallback = _protocol_problem(response, sent["detail"])
    try:
        problem = _SENT_PROBLEM.validate_python({**dict(fallback), **sent})
    except ValidationError:
        return UpstreamProtocol.of(fallback)
    error = ERROR_BY_CODE[problem.code] if problem.code == sent["code"] else TorchbridgeError
    return error.of(problem)


def _protocol_error(response: requests.Response, detail: str) -> UpstreamProtocol:
    """The exception for an answer that is not the gateway's, such as the page of a proxy."""
    return UpstreamProtocol.of(_protocol_problem(response, detail))


def _protocol_problem(response: requests.Response, detail: str) -> Problem:
    return Problem(
        type="about:blank",
        title=response.reason,
        status=response.status_code,
        detail=detail,
        code=ErrorCode.UPSTREAM_PROTOCOL,
        request_id=response.headers.get("x-request-id"),
        retryable=response.status_code in _RETRYABLE_STATUSES,
        retry_after=retry_after_seconds(response.headers.get("retry-after", "")),
    )
