"""Server-sent events to and from bytes: one codec for the handler, the gateway and Python callers.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, of which we use `data` and comments.
ts-client/src/event-stream.ts reads it by the same rules, and tests/fixtures/event_stream holds both to them.
"""

from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from adapter.schema import STREAM_EVENT, StreamEvent

CONTENT_TYPE = "text/event-stream; charset=utf-8"
MAX_EVENT_BYTES = 8 * 2**20

# JSON may hold these unescaped, and some clients take them for the end of a line (httpx's aiter_lines among them).
_LINE_SEPARATORS = tuple((c.encode(), f"\\u{ord(c):04x}".encode()) for c in "\x85\u2028\u2029")


class EventStreamError(ValueError):
    """The bytes are not an event stream of ours."""


def encode_event(event: StreamEvent, form: TypeAdapter[StreamEvent] = STREAM_EVENT) -> bytes:
    """form: WORKER_EVENT between a worker and its gateway, whose extra fields no caller gets."""
    data = form.dump_json(event)
    for raw, escaped in _LINE_SEPARATORS:
        data = data.replace(raw, escaped)
    return b"data: " + data + b"\n\n"


class EventStreamDecoder:
    """Bytes in any pieces in, the data of whole events out. An event that its blank line does not end is not an event.

    Two things are refused that the format lets pass: an event without an end, which would fill the memory, and bytes
    that are not UTF-8, whose replacements would pass for the model's own text.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._data: list[str] = []
        self._size = 0
        self._after_carriage_return = False
        self._encoding = "utf-8-sig"  # a byte order mark is no part of the first line

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of each event that `chunk` completes, or EventStreamError."""
        if self._after_carriage_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_carriage_return = False
        # bytes.splitlines, unlike str.splitlines, splits at CR, LF and CRLF only: just what the format says.
        for line in chunk.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            self._after_carriage_return = line.endswith(b"\r")
            self._line += content
            self._size += len(content)
            if self._size > self._max_event_bytes:
                raise EventStreamError(f"an event has more than {self._max_event_bytes} bytes")
            if len(line) > len(content):
                yield from self._end_line()

    def _end_line(self) -> Iterator[str]:
        try:
            line = self._line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise EventStreamError("a line is not UTF-8") from error
        self._line.clear()
        self._encoding = "utf-8"
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            return
        self._size = 0
        if self._data:
            data = "\n".join(self._data)
            self._data.clear()
            yield data


class EventDecoder:
    """Bytes in any pieces in, whole events of the contract out. form: as of encode_event."""

    def __init__(self, form: TypeAdapter[StreamEvent] = STREAM_EVENT) -> None:
        self._decoder = EventStreamDecoder()
        self._form = form

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        """The events that `chunk` completes, or EventStreamError."""
        return map(self._parse, self._decoder.feed(chunk))

    def _parse(self, data: str) -> StreamEvent:
        try:
            return self._form.validate_json(data)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]
            raise EventStreamError(f"not an event: {reason['msg']} at {reason['loc']}") from error
