"""Reads the bytes of one connection with h11: with the patience that RFC 9112 asks for, and within limits.

uvicorn takes all that has come in one go, before the application or another connection has its turn. What is refused
here would take the event loop for too long, or could be read in two ways.
"""

import re
from collections.abc import Callable

import h11

from adapter.errors import AddressTooLong, HeadersTooLarge, MalformedHttp, TorchbridgeError

_MAX_HEAD_BYTES = 64 * 2**10  # RequestEnvelope takes less, and its refusal can be read by pages of other origins
_TOO_LARGE = 431  # h11's word for it
_EMPTY_LINE = b"\r\n"
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # as h11 has it
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)([/?][^#]*)?", re.IGNORECASE)

# 15 µs each in h11 alone, whatever is in it. A client that writes some hundred tokens of its JSON as chunks is within.
_CHUNKS, _BYTES_FOR_ONE_MORE = 1_000, 64
_CHUNKS_AT_ONCE = 25

Incoming = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Connection(h11.Connection):
    """`is_body_held`: a body in chunks is read only after this is reset, so that keys are looked at first.

    An answer that begins while `is_ending` is true is the last one, and tells the caller. Its head goes out with the
    next part: a write of its own would cost as much as reading the request.
    """

    def __init__(self, is_ending: Callable[[], bool] = lambda: False) -> None:
        super().__init__(h11.SERVER, _MAX_HEAD_BYTES)
        self._is_ending = is_ending
        self.is_body_held = False
        self.refusal: TorchbridgeError | None = None  # why next_event has raised RemoteProtocolError
        self._num_chunks = self._num_bytes = 0
        self._unsent_head: list[bytes] = []

    @property
    def is_head_only(self) -> bool:
        """Whether the request is a HEAD: h11 takes no body then."""
        return self._request_method == b"HEAD"

    def next_event(self) -> Incoming:
        is_head = self.their_state is h11.IDLE
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            self.refusal = self._typed(error, is_head=is_head)
            raise

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """Called by `send`, too."""
        if isinstance(event, h11.Response):
            self._unsent_head = (
                super().send_with_data_passthrough(_with_close(event) if self._is_ending() else event) or []
            )
            return []
        pieces = super().send_with_data_passthrough(event)
        if pieces is not None and self._unsent_head:
            pieces, self._unsent_head = self._unsent_head + pieces, []
        return pieces

    def _next_event(self) -> Incoming:
        if self.is_body_held or (self.their_state is h11.IDLE and self._is_before_the_request()):
            return h11.NEED_DATA
        event = super().next_event()
        if isinstance(event, h11.Request):
            return self._begin(event)
        if isinstance(event, h11.Data):
            self._count(event)
        return event

    def _is_before_the_request(self) -> bool:
        """Skips empty lines, which clients send after a body (RFC 9112, 2.2). Raises where a head has no end."""
        buffer = self._receive_buffer
        while buffer._data[:2] == _EMPTY_LINE:  # noqa: SLF001 - trailing_data would copy it all, for each request in it
            buffer.maybe_extract_at_most(2)
        # In one piece h11 would take a head of any size.
        if len(buffer) > _MAX_HEAD_BYTES and not _END_OF_HEAD.search(buffer._data, 0, _MAX_HEAD_BYTES):  # noqa: SLF001
            raise h11.RemoteProtocolError("the head is too long", error_status_hint=_TOO_LARGE)
        return buffer._data == b"\r"  # noqa: SLF001

    def _begin(self, request: h11.Request) -> h11.Request:
        names = {name for name, _ in request.headers}
        self.is_body_held = b"transfer-encoding" in names
        self._num_chunks = self._num_bytes = 0
        if self.is_body_held and b"content-length" in names:
            raise h11.RemoteProtocolError("a Content-Length and a Transfer-Encoding: one of them ends the body")
        return _in_origin_form(request)

    def _count(self, data: h11.Data) -> None:
        self._num_chunks += data.chunk_start
        self._num_bytes += len(data.data)
        self.is_body_held = data.chunk_end and self._num_chunks % _CHUNKS_AT_ONCE == 0
        if self._num_chunks > _CHUNKS + self._num_bytes // _BYTES_FOR_ONE_MORE:
            raise h11.RemoteProtocolError("too many chunks for so few bytes")

    def _typed(self, error: h11.RemoteProtocolError, *, is_head: bool) -> TorchbridgeError:
        if not is_head or error.error_status_hint != _TOO_LARGE:
            return MalformedHttp("The request is not valid HTTP/1.1.", cause=str(error))
        if _EMPTY_LINE in self.trailing_data[0]:
            return HeadersTooLarge(f"The request's headers have more than {_MAX_HEAD_BYTES} bytes.")
        return AddressTooLong(f"The request's address has more than {_MAX_HEAD_BYTES} bytes.")


def _with_close(answer: h11.Response) -> h11.Response:
    headers = [(name, value) for name, value in answer.headers if name != b"connection"]
    return h11.Response(
        status_code=answer.status_code,
        headers=[*headers, (b"connection", b"close")],
        http_version=answer.http_version,
        reason=answer.reason,
    )


def _in_origin_form(request: h11.Request) -> h11.Request:
    """A target with a host in it, as proxies are sent it: the host takes the place of Host's (RFC 9112, 3.2.2)."""
    named = _ABSOLUTE_FORM.fullmatch(request.target)
    if named is None:
        return request
    host, rest = named[1], named[2] or (b"*" if request.method == b"OPTIONS" else b"/")
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=rest if rest[:1] in b"/*" else b"/" + rest,
        headers=[*headers, (b"host", host)],
        http_version=request.http_version,
    )
