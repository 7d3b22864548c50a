"""Ids of a stream's events, by which any gateway with the same key goes on behind them.

An id holds all that is needed for that: the answer's archive and seed, and its tokens so far. The gateways
need to keep nothing. They sign it, so that nobody can have a model go on behind what it has not written.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from cachetools import LRUCache
from pydantic import SecretStr

from adapter.call import Begun, Call
from adapter.errors import InvalidRequest, StreamStopped
from adapter.event_stream import encode_event
from adapter.http.call_parameters import LONGEST_CURSOR
from adapter.http.event_stream_response import NativeEncoding
from adapter.schema import DeltaEvent, DoneEvent, FieldError, GenerationRequest, StartEvent, StreamEvent, WorkerDelta

_SIGNATURE_BYTES = 16
_NAME_BYTES = 9  # of a stream's name, at random
_REMEMBERED_STOPS = 10_000
_NONE = b"id\n"  # an empty id: from here on the stream cannot be gone on with
_MORE = 0x80


class Cursors:
    """Reads and signs the ids. Without a key there are none."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value().encode() if key else None
        self._stopped: LRUCache[tuple[str, str], bool] = LRUCache(_REMEMBERED_STOPS)  # caller and stream

    def begun(self, request: GenerationRequest, call: Call) -> Begun | None:
        """The part of an answer to this request that `Last-Event-ID` names. Raises InvalidRequest, or StreamStopped."""
        if not call.last_event_id:
            return None
        asked, begun = self._read(call.last_event_id)
        if asked != _digest(request, call):
            raise _refusal("it is an id of the answer to another request")
        if (call.caller, begun.stream) in self._stopped:
            raise StreamStopped("The stream was stopped, and does not go on.")
        return begun

    def encoding(self, request: GenerationRequest, call: Call, begun: Begun | None) -> NativeEncoding:
        """The encoding of a stream's events: with ids, if its caller asks for them and they can be had."""
        if self._key is None or not call.is_resumable or request.logprobs is not None:
            return NativeEncoding()
        return WithIds(self._key, _digest(request, call), begun)

    def stop(self, call: Call) -> str:
        """Stops the stream of `Last-Event-ID` for this caller, and returns its name. Raises InvalidRequest."""
        if not call.last_event_id:
            raise _refusal("there is none")
        _, begun = self._read(call.last_event_id)
        self._stopped[call.caller, begun.stream] = True
        return begun.stream

    def _read(self, cursor: str) -> tuple[str, Begun]:
        """The digest of the question, and the part of the answer that the cursor names."""
        if self._key is None:
            raise _refusal("this gateway gives its events no ids: TORCHBRIDGE_CURSOR_KEY is not set")
        head, _, ids = _signed(self._key, cursor).partition(b"\n")
        asked, stream, model, version, digest, seed, num_deltas = json.loads(head)
        return asked, Begun(stream, model, version, digest, seed, num_deltas, tuple(_numbers(ids)))


class WithIds(NativeEncoding):
    """stream: names the answer, at whichever gateways it is written."""

    def __init__(self, key: bytes, asked: str, begun: Begun | None) -> None:
        self.stream = secrets.token_urlsafe(_NAME_BYTES) if begun is None else begun.stream
        self._key, self._asked = key, asked
        self._of: tuple[str, str, str, int] | None = None
        self._num_deltas, self._ids = 0, bytearray()
        if begun is not None:
            self._of = begun.model, begun.version, begun.digest, begun.seed
            self._num_deltas, self._ids = begun.num_deltas, bytearray(_bytes(begun.ids))

    def encode(self, events: list[StreamEvent]) -> bytes:
        is_end = isinstance(events[-1], DoneEvent)
        return b"".join(self._id_of(event, is_end=is_end) + encode_event(event) for event in events)

    def _id_of(self, event: StreamEvent, *, is_end: bool) -> bytes:
        """Empty for the last text: it is sent with the end, and behind it there is nothing to go on with."""
        match event:
            case StartEvent(seed=int(seed)):
                self._of = event.model, event.model_version, event.model_digest, seed
            case WorkerDelta(ids=tuple(ids)):
                self._num_deltas += 1
                self._ids += _bytes(ids)
            case StartEvent() | DeltaEvent() if not is_end:
                self._of = None
            case _:
                return b""
        return self._cursor()

    def _cursor(self) -> bytes:
        if self._of is None:
            return _NONE
        head = json.dumps([self._asked, self.stream, *self._of, self._num_deltas], separators=(",", ":")).encode()
        content = head + b"\n" + self._ids
        cursor = urlsafe_b64encode(_signature(self._key, content) + content).rstrip(b"=")
        if len(cursor) > LONGEST_CURSOR:
            self._of = None
            return _NONE
        return b"id: " + cursor + b"\n"


def _signed(key: bytes, cursor: str) -> bytes:
    try:
        signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _refusal("it is no id of one of our events") from None
    signature, content = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(key, content)):
        raise _refusal("it is no id of one of our events, or of a gateway with another TORCHBRIDGE_CURSOR_KEY")
    return content


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:_SIGNATURE_BYTES]


def _digest(request: GenerationRequest, call: Call) -> str:
    """A digest of what was asked, and by whom."""
    return hashlib.sha256(f"{call.caller}\0{request.model_dump_json()}".encode()).hexdigest()[:32]


def _bytes(numbers: Iterable[int]) -> bytes:
    """In LEB128 (https://dwarfstd.org/doc/DWARF5.pdf, section 7.6): most tokens take two bytes."""
    written = bytearray()
    for number in numbers:
        rest = number
        while rest >= _MORE:
            written.append(rest % _MORE | _MORE)
            rest //= _MORE
        written.append(rest)
    return bytes(written)


def _numbers(written: bytes) -> Iterable[int]:
    number, shift = 0, 0
    for byte in written:
        number |= (byte & (_MORE - 1)) << shift
        shift += 7
        if byte < _MORE:
            yield number
            number, shift = 0, 0


def _refusal(reason: str) -> InvalidRequest:
    message = f"Last-Event-ID is of no use here: {reason}."
    return InvalidRequest(message, errors=(FieldError(field="last-event-id", message=message),))
