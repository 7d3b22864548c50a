"""The events of an answer that comes as it grows, from bytes in any pieces."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Generic, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from adapter.client.answers import Head, parse_json, problem_error, protocol_error
from adapter.client.errors import StreamTruncated
from adapter.event_stream import EventStreamDecoder, EventStreamError
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, StartEvent

TextEvent = Annotated[StartEvent | DeltaEvent | DoneEvent, Field(discriminator="type")]

_TEXT_EVENT: TypeAdapter[TextEvent] = TypeAdapter(TextEvent)
_KNOWN_TYPES = {"start", "delta", "done", "error"}

Event_co = TypeVar("Event_co", covariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class EventReader(ABC, Generic[Event_co, Answer_co]):
    """Bytes in, events out, up to and with the last one; every other end is an exception.

    `text` is what has come so far, `answer` the whole, once it is here.
    """

    def __init__(self) -> None:
        self.head = Head("", 0, "", {})
        self.text = ""
        self._answer: Answer_co | None = None
        self._decoder = EventStreamDecoder()
        self._events: Iterator[Event_co] = iter(())

    @property
    def answer(self) -> Answer_co | None:
        return self._answer

    def whole_answer(self) -> Answer_co:
        if self._answer is None:
            raise RuntimeError("The stream is not at its end, where it has its response: read() waits for it.")
        return self._answer

    def begin(self, head: Head) -> None:
        content_type = head.headers.get("content-type", "no content type")
        if not content_type.lower().startswith("text/event-stream"):
            raise protocol_error(head, f"expected an event stream, but the answer has {content_type}")
        self.head = head

    def feed(self, chunk: bytes) -> None:
        """Takes in a chunk, whose events `pop` then gives. chunk: empty at the answer's end."""
        if not chunk:
            raise self.truncated()
        self._events = self._read(chunk)

    def pop(self) -> Event_co | None:
        """The next event, or None where `feed` has to be called before there is another one."""
        return None if self._answer is not None else next(self._events, None)

    def truncated(self) -> StreamTruncated:
        return StreamTruncated("The stream stopped before its end.", text=self.text)

    def _read(self, chunk: bytes) -> Iterator[Event_co]:
        try:
            for data in self._decoder.feed(chunk):
                event = self._parse(data)
                if event is not None:
                    yield event
        except EventStreamError as error:
            raise protocol_error(self.head, f"the stream is not the gateway's: {error}") from error

    @abstractmethod
    def _parse(self, data: str) -> Event_co | None:
        """Notes `text` and `_answer`. Raises EventStreamError of what is no event, and the exception of a problem."""


class TextEventReader(EventReader[TextEvent, GenerationResponse]):
    """One `start`, any number of `delta`, one `done`. Other types are a newer gateway's, and passed over."""

    def _parse(self, data: str) -> TextEvent | None:
        try:
            event = _TEXT_EVENT.validate_json(data)
        except ValidationError as error:
            self._pass_over(data, error)
            return None
        match event:
            case DeltaEvent(text=text):
                self.text += text
            case DoneEvent(response=response):
                self._answer = response
        return event

    def _pass_over(self, data: str, error: ValidationError) -> None:
        """Passes over an event of an unknown type. Raises for a problem, and for anything that is no event."""
        match parse_json(data):
            case {"type": "error", "problem": {"detail": str(), "code": str()} as problem}:
                raise problem_error(self.head, problem)
            case {"type": str(kind)} if kind not in _KNOWN_TYPES:
                return
        raise EventStreamError(f"not an event: {data[:100]}") from error
