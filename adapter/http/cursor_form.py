"""The form of an event's id: a signature, a line of JSON, and the tokens so far.

A gateway with the same key may still be an older or a newer one than this: what it has signed is checked like anything
else that comes from outside.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from adapter.errors import InvalidRequest
from adapter.schema import FieldError

_SIGNATURE_BYTES = 16
_MORE = 0x80
_Count = Annotated[int, Field(ge=0)]


class Head(NamedTuple):
    """asked: digest of the request. The others are as those of adapter.call.Begun."""

    asked: str
    stream: str
    model: str
    version: str
    digest: str
    seed: _Count
    num_deltas: _Count


_HEAD = TypeAdapter(Head, config=ConfigDict(strict=True))
_TOKENS = TypeAdapter(tuple[Annotated[int, Field(lt=2**31)], ...])


def encode_cursor(key: bytes, head: Head, tokens: bytes) -> bytes:
    """tokens: of `encode_tokens`."""
    content = _HEAD.dump_json(head) + b"\n" + tokens
    return urlsafe_b64encode(_signature(key, content) + content).rstrip(b"=")


def decode_cursor(key: bytes, cursor: str) -> tuple[Head, tuple[int, ...]]:
    """With the tokens. Raises InvalidRequest."""
    head, _, tokens = _signed(key, cursor).partition(b"\n")
    try:
        return _HEAD.validate_json(head), _TOKENS.validate_python(tuple(_numbers(tokens)))
    except ValidationError:
        raise refusal("it is of another version of the gateway; ask anew without it") from None


def encode_tokens(numbers: Iterable[int]) -> bytes:
    """In LEB128 (https://dwarfstd.org/doc/DWARF5.pdf, section 7.6): most tokens take two bytes."""
    written = bytearray()
    for number in numbers:
        rest = number
        while rest >= _MORE:
            written.append(rest % _MORE | _MORE)
            rest //= _MORE
        written.append(rest)
    return bytes(written)


def refusal(reason: str) -> InvalidRequest:
    message = f"Last-Event-ID is of no use here: {reason}."
    return InvalidRequest(message, errors=(FieldError(field="last-event-id", message=message),))


def _numbers(written: bytes) -> Iterable[int]:
    number, shift = 0, 0
    for byte in written:
        number |= (byte & (_MORE - 1)) << shift
        shift += 7
        if byte < _MORE:
            yield number
            number, shift = 0, 0


def _signed(key: bytes, cursor: str) -> bytes:
    try:
        signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise refusal("it is no id of one of our events") from None
    signature, content = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(key, content)):
        raise refusal("it is no id of one of our events, or of a gateway with another TORCHBRIDGE_CURSOR_KEY")
    return content


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:_SIGNATURE_BYTES]
