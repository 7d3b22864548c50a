"""Ids of a stream's events, by which any gateway with the same key goes on behind them.

An id holds all that is needed for that: the answer's archive and seed, and its tokens so far. The gateways
need to keep nothing. They sign it, so that nobody can have a model go on behind what it has not written.
"""

import hashlib
import secrets
import time
from typing import NamedTuple

from cachetools import LRUCache
from pydantic import SecretStr

from adapter.call import Begun, Call
from adapter.errors import StreamStopped
from adapter.http.call_parameters import LONGEST_CURSOR
from adapter.http.cursor_form import Head, decode_cursor, encode_cursor, encode_tokens, refusal
from adapter.http.event_stream_response import Encoding
from adapter.schema import DeltaEvent, DoneEvent, GenerationRequest, Problem, StartEvent, StreamEvent, WorkerDelta

_NAME_BYTES = 9  # of a stream's name, at random
_REMEMBERED_STOPS = 10_000
_NONE = b"id\n"  # an empty id: after this event the stream cannot be resumed
# So much of an answer may come without another id. All ids together then take some 130 bytes a token, however long it
# is. An id with each event would make it 2 MB for 1,000 tokens, and four times that for twice as many.
_UNMARKED_SHARE = 1 / 32


class Asked(NamedTuple):
    """What a stream is the answer to. form: of its events, which go on in the same one; empty for our own."""

    request: GenerationRequest
    call: Call
    form: str = ""

    @property
    def digest(self) -> str:
        """Of what was asked, and by whom. Not of what it left out: a newer gateway may know more of that."""
        asked = self.form + self.request.model_dump_json(exclude_unset=True)
        return hashlib.sha256(f"{self.call.caller}\0{asked}".encode()).hexdigest()[:32]


class Cursors:
    """Reads and signs the ids. Without a key there are none."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value().encode() if key else None
        self._stopped: LRUCache[tuple[str, str], bool] = LRUCache(_REMEMBERED_STOPS)  # caller and stream

    def begun(self, asked: Asked) -> Begun | None:
        """The part of an answer to this request that `Last-Event-ID` names. Raises InvalidRequest, or StreamStopped."""
        if not asked.call.last_event_id:
            return None
        head, ids = self._read(asked.call.last_event_id)
        if head.asked != asked.digest:
            raise refusal("it is an id of the answer to another request")
        if (asked.call.caller, head.stream) in self._stopped:
            raise StreamStopped("The stream was stopped, and does not go on.")
        return Begun(head.stream, head.model, head.version, head.digest, head.seed, head.num_deltas, ids)

    def ids(self, asked: Asked, begun: Begun | None) -> "Ids | None":
        """Those of a stream's events, if its caller asks for them and they can be had."""
        if self._key is None or not asked.call.is_resumable or asked.request.logprobs is not None:
            return None
        return Ids(self._key, asked.digest, begun)

    def stop(self, call: Call) -> str:
        """Stops the stream of `Last-Event-ID` for this caller, and returns its name. Raises InvalidRequest."""
        if not call.last_event_id:
            raise refusal("there is none")
        head, _ = self._read(call.last_event_id)
        self._stopped[call.caller, head.stream] = True
        return head.stream

    def _read(self, cursor: str) -> tuple[Head, tuple[int, ...]]:
        if self._key is None:
            raise refusal("this gateway gives its events no ids: TORCHBRIDGE_CURSOR_KEY is not set")
        return decode_cursor(self._key, cursor)


def began_at(stream: str) -> int:
    """The second in which a stream of this name began, as Unix time. An older gateway's name does not say it: now."""
    second, *rest = stream.split(".")
    return int(second) if rest and second.isdecimal() else int(time.time())


class Ids:
    """The ids of one stream. stream: names the answer, at whichever gateways it is written."""

    def __init__(self, key: bytes, asked: str, begun: Begun | None) -> None:
        name = f"{int(time.time())}.{secrets.token_urlsafe(_NAME_BYTES)}"
        self.stream = name if begun is None else begun.stream
        self._key, self._asked = key, asked
        self._of: tuple[str, str, str, int] | None = None
        self._num_deltas, self._tokens = 0, bytearray()
        self._num_tokens = self._num_marked = 0  # in all, and up to the last id
        if begun is not None:
            self._of = begun.model, begun.version, begun.digest, begun.seed
            self._num_deltas, self._tokens = begun.num_deltas, bytearray(encode_tokens(begun.ids))
            self._num_tokens = self._num_marked = len(begun.ids)

    def next(self, event: StreamEvent, *, is_end: bool) -> bytes:
        """The line of this event. Empty for the last text: it is sent with the end, and behind it nothing goes on."""
        match event:
            case StartEvent(seed=int(seed)):
                self._of = event.model, event.model_version, event.model_digest, seed
            case WorkerDelta(ids=tuple(ids)):
                self._num_deltas += 1
                self._tokens += encode_tokens(ids)
                self._num_tokens += len(ids)
                if self._num_tokens - self._num_marked < self._num_tokens * _UNMARKED_SHARE:
                    return b""
            case StartEvent() | DeltaEvent() if not is_end:
                self._of = None
            case _:
                return b""
        return self._cursor()

    def _cursor(self) -> bytes:
        if self._of is None:
            return _NONE
        head = Head(self._asked, self.stream, *self._of, self._num_deltas)
        cursor = encode_cursor(self._key, head, bytes(self._tokens))
        if len(cursor) > LONGEST_CURSOR:
            self._of = None
            return _NONE
        self._num_marked = self._num_tokens
        return b"id: " + cursor + b"\n"


class WithIds:
    """The Encoding `plain`, each of whose events has its id."""

    def __init__(self, plain: Encoding[StreamEvent], ids: Ids) -> None:
        self._plain, self._ids = plain, ids

    def is_start(self, event: StreamEvent) -> bool:
        return self._plain.is_start(event)

    def encode(self, events: list[StreamEvent]) -> bytes:
        is_end = isinstance(events[-1], DoneEvent)
        return b"".join(self._encode(event, is_end=is_end) for event in events)

    def encode_failure(self, problem: Problem) -> bytes:
        return self._plain.encode_failure(problem)

    def _encode(self, event: StreamEvent, *, is_end: bool) -> bytes:
        line, encoded = self._ids.next(event, is_end=is_end), self._plain.encode([event])
        return line + encoded if encoded else b""
