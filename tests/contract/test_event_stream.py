"""ts-client/test/event-stream.test.ts reads the same fixtures."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from adapter.event_stream import MAX_EVENT_BYTES, EventDecoder, EventStreamDecoder, EventStreamError, encode_event
from adapter.schema import DeltaEvent, StreamEvent

FIXTURES = Path(__file__).parents[1] / "fixtures" / "event_stream"


class Expected(BaseModel, extra="forbid"):
    """What a stream of bytes is to be read as: the data of its events, then a refusal if there is one."""

    max_event_bytes: int = MAX_EVENT_BYTES
    data: list[str]
    refusal: str | None = None


def read_fixture(name: str) -> tuple[bytes, Expected]:
    wire = (FIXTURES / f"{name}.sse").read_bytes()
    return wire, Expected.model_validate_json((FIXTURES / f"{name}.json").read_bytes())


def cuts(wire: bytes) -> Iterator[list[bytes]]:
    """The ways to cut `wire`: in two at every position, and into single bytes."""
    for position in range(len(wire) + 1):
        yield [wire[:position], wire[position:]]
    yield [bytes([byte]) for byte in wire]


def read_data(pieces: Iterable[bytes], max_event_bytes: int) -> tuple[list[str], str | None]:
    decoder = EventStreamDecoder(max_event_bytes)
    data: list[str] = []
    try:
        for piece in pieces:
            data.extend(decoder.feed(piece))
    except EventStreamError as refusal:
        return data, str(refusal)
    return data, None


def decode(*chunks: bytes) -> list[StreamEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.sse")))
def test_a_stream_is_read_the_same_wherever_its_bytes_are_cut(name: str) -> None:
    wire, expected = read_fixture(name)
    for pieces in cuts(wire):
        assert read_data(pieces, expected.max_event_bytes) == (expected.data, expected.refusal), pieces


def test_every_stream_of_the_fixtures_says_what_to_expect() -> None:
    assert {path.stem for path in FIXTURES.glob("*.json")} == {path.stem for path in FIXTURES.glob("*.sse")}


def test_events_are_encoded_to_the_bytes_that_the_other_side_is_tested_with() -> None:
    wire, expected = read_fixture("encoded-events")
    events = decode(wire)

    assert b"".join(map(encode_event, events)) == wire
    assert len(events) == len(expected.data)
    assert {event.type for event in events} == {"start", "delta", "done", "error"}


@given(st.text())
def test_any_text_survives_the_way(text: str) -> None:
    event = DeltaEvent(index=0, text=text)
    assert decode(encode_event(event)) == [event]


@given(st.text())
def test_an_event_is_one_line_whatever_a_client_takes_for_the_end_of_one(text: str) -> None:
    assert len(encode_event(DeltaEvent(index=0, text=text)).decode().removesuffix("\n\n").splitlines()) == 1


@given(st.lists(st.text(), max_size=5), st.data())
def test_events_run_together_or_apart_are_the_same(texts: list[str], data: st.DataObject) -> None:
    events = [DeltaEvent(index=index, text=text) for index, text in enumerate(texts)]
    wire = b"".join(map(encode_event, events))
    positions = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *positions], [*positions, len(wire)], strict=True)]
    assert decode(*pieces) == events


@pytest.mark.parametrize("data", [b"[DONE]", b"{}", b"\xff", b'{"type": "ping"}', b'{"type": "delta"}'])
def test_what_is_not_in_the_contract_is_refused(data: bytes) -> None:
    with pytest.raises(EventStreamError):
        decode(b"data: " + data + b"\n\n")


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(EventStreamError) as refusal:
        decode(b'data: {"type": "delta", "index": 0, "text": ["secret"]}\n\n')
    assert "secret" not in str(refusal.value)
