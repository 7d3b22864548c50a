"""Server-sent events to and from bytes: one codec for the handler, the gateway and Python callers.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, of which we use `data` and comments.
"""

from collections.abc import Iterator

from pydantic import ValidationError

from adapter.schema import STREAM_EVENT, StreamEvent

CONTENT_TYPE = "text/event-stream; charset=utf-8"
MAX_EVENT_BYTES = 8 * 2**20

# JSON may hold these unescaped, and some clients take them for the end of a line (httpx's aiter_lines among them).
_LINE_SEPARATORS = tuple((c.encode(), f"\\u{ord(c):04x}".encode()) for c in "\x85\u2028\u2029")


class EventStreamError(ValueError):
    """The bytes are not an event stream of ours."""


def encode_event(event: StreamEvent) -> bytes:
    data = STREAM_EVENT.dump_json(event)
    for raw, escaped in _LINE_SEPARATORS:
        data = data.replace(raw, escaped)
    return b"data: " + data + b"\n\n"


class EventDecoder:
    """Bytes in any pieces in, whole events out. An event that its blank line does not end is not an event."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_carriage_return = False

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        """The events that `chunk` completes.

        Raises EventStreamError on an event of more than MAX_EVENT_BYTES or one that is not in the contract.
        """
        if self._after_carriage_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_carriage_return = False
        # bytes.splitlines, unlike str.splitlines, splits at CR, LF and CRLF only: just what the format says.
        for line in chunk.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            self._after_carriage_return = line.endswith(b"\r")
            self._line += content
            self._size += len(content)
            if self._size > MAX_EVENT_BYTES:
                raise EventStreamError(f"an event has more than {MAX_EVENT_BYTES} bytes")
            if len(line) > len(content):
                complete = bytes(self._line)
                self._line.clear()
                yield from self._end_line(complete)

    def _end_line(self, line: bytes) -> Iterator[StreamEvent]:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            return
        self._size = 0
        if self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            yield _parse(data)


def _parse(data: bytes) -> StreamEvent:
    try:
        return STREAM_EVENT.validate_json(data)
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]
        raise EventStreamError(f"not an event: {reason['msg']} at {reason['loc']}") from error
