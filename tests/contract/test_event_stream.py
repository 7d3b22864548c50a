import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter import event_stream
from adapter.event_stream import EventDecoder, EventStreamError, encode_event
from adapter.schema import DeltaEvent, StreamEvent

ODD_TEXT = "é漢👩‍👩‍👧\u2028\u2029\x85\x0b\x0c\x1c\r\n\ndata: x\n\n[DONE] \ufeff\x00 \\"
EVENTS = [DeltaEvent(index=0, text="Hello"), DeltaEvent(index=1, text=ODD_TEXT), DeltaEvent(index=2, text="")]
WIRE = b"".join(map(encode_event, EVENTS))


def decode(*chunks: bytes) -> list[StreamEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_a_cut_at_any_position_changes_nothing(line_end: bytes) -> None:
    wire = WIRE.replace(b"\n", line_end)
    for position in range(len(wire) + 1):
        assert decode(wire[:position], wire[position:]) == EVENTS, position


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_single_bytes_are_enough(line_end: bytes) -> None:
    assert decode(*(bytes([byte]) for byte in WIRE.replace(b"\n", line_end))) == EVENTS


def test_two_cuts_anywhere_change_nothing() -> None:
    wire = encode_event(DeltaEvent(index=0, text="é\u2028")).replace(b"\n", b"\r\n")
    expected = decode(wire)
    for first in range(len(wire)):
        for second in range(first, len(wire)):
            assert decode(wire[:first], wire[first:second], wire[second:]) == expected


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_any_text_survives_the_way(text: str) -> None:
    event = DeltaEvent(index=0, text=text)
    assert decode(encode_event(event)) == [event]


@settings(deadline=None)
@given(st.text())
def test_an_event_is_one_line_whatever_a_client_takes_for_the_end_of_one(text: str) -> None:
    assert len(encode_event(DeltaEvent(index=0, text=text)).decode().removesuffix("\n\n").splitlines()) == 1


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5), st.data())
def test_events_run_together_or_apart_are_the_same(texts: list[str], data: st.DataObject) -> None:
    events = [DeltaEvent(index=index, text=text) for index, text in enumerate(texts)]
    wire = b"".join(map(encode_event, events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert decode(*pieces) == events


def test_comments_and_other_fields_are_passed_over() -> None:
    assert decode(b": ping\n\nevent: message\nid: 1\nretry: 5\n" + encode_event(EVENTS[0])) == [EVENTS[0]]


def test_data_on_several_lines_is_one_event() -> None:
    assert decode(b'data: {"type": "delta",\ndata:"index": 0, "text": "Hello"}\n\n') == [EVENTS[0]]


def test_an_event_that_no_blank_line_ends_is_not_an_event() -> None:
    assert decode(WIRE[:-1]) == EVENTS[:-1]


def test_an_event_of_too_many_bytes_is_refused_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventStreamError, match="more than 100 bytes"):
        decode(b"data: " + b"x" * 100)


def test_an_event_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventStreamError, match="more than 100 bytes"):
        decode(b"data: x\n" * 20)


def test_many_small_events_are_not_one_big_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 100)
    assert len(decode(encode_event(EVENTS[0]) * 50)) == 50


@pytest.mark.parametrize("data", [b"[DONE]", b"{}", b"\xff", b'{"type": "ping"}', b'{"type": "delta"}'])
def test_what_is_not_in_the_contract_is_refused(data: bytes) -> None:
    with pytest.raises(EventStreamError):
        decode(b"data: " + data + b"\n\n")


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(EventStreamError) as refusal:
        decode(b'data: {"type": "delta", "index": 0, "text": ["secret"]}\n\n')
    assert "secret" not in str(refusal.value)
