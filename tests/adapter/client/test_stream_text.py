import json
from contextlib import suppress
from threading import Event

import pytest

from adapter import errors
from adapter.client import ConnectionFailed, StreamTruncated
from adapter.errors import TorchbridgeError
from adapter.schema import ErrorEvent, StreamEvent
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, Play, answers, fake_gateway
from tests.adapter.wire import DELTAS, NEWER, NEWER_PROBLEM, PROBLEM, REQUEST, RESPONSE, START, WHOLE_STREAM
from tests.waiting import PATIENCE


def stop_after(*pieces: StreamEvent | bytes) -> Play:
    return lambda exchange: exchange.begin_stream(*pieces)


def test_is_start_then_deltas_then_done(connect: Connect) -> None:
    with (
        fake_gateway(stop_after(*WHOLE_STREAM)) as gateway,
        connect(gateway.url).stream_text(prompt="Hello") as events,
    ):
        assert list(events) == WHOLE_STREAM

    [exchange] = gateway.exchanges
    assert (exchange.target, json.loads(exchange.body)) == ("POST /generate/stream", {"prompt": "Hello"})
    assert exchange.headers["accept"] == "text/event-stream"


def test_each_event_is_given_as_soon_as_it_is_here(connect: Connect) -> None:
    received = Event()

    def play(exchange: Exchange) -> None:
        exchange.begin_stream(START)
        assert received.wait(PATIENCE)
        exchange.send(*WHOLE_STREAM[1:])

    with fake_gateway(play) as gateway, connect(gateway.url).stream_text(**REQUEST) as events:
        assert next(events) == START
        received.set()
        assert list(events) == WHOLE_STREAM[1:]


def test_done_is_the_end_also_of_an_answer_that_does_not_end(connect: Connect) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin_stream(*WHOLE_STREAM)
        exchange.wait_until_the_caller_leaves()

    with fake_gateway(play) as gateway:
        with connect(gateway.url).stream_text(**REQUEST) as events:
            assert list(events) == WHOLE_STREAM
        assert gateway.exchanges[0].caller_left.wait(PATIENCE)


def test_a_block_that_is_left_early_disconnects(connect: Connect) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin_stream(START, *DELTAS)
        exchange.wait_until_the_caller_leaves()

    with fake_gateway(play) as gateway:
        with connect(gateway.url).stream_text(**REQUEST) as events:
            assert next(events) == START
        assert gateway.exchanges[0].caller_left.wait(PATIENCE)


def test_a_failure_from_the_start_is_the_exception_of_its_code(connect: Connect) -> None:
    with (
        fake_gateway(answers(503, PROBLEM.model_dump(), "application/problem+json")) as gateway,
        pytest.raises(errors.Overloaded) as raised,
        connect(gateway.url).stream_text(**REQUEST),
    ):
        pass
    assert raised.value.problem == PROBLEM


def test_an_error_event_is_the_exception_of_its_code_after_the_events_before_it(connect: Connect) -> None:
    seen = []
    with (
        fake_gateway(stop_after(START, *DELTAS, ErrorEvent(problem=PROBLEM))) as gateway,
        pytest.raises(errors.Overloaded) as raised,
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        seen.extend(events)  # keeps what came before the exception
    assert raised.value.problem == PROBLEM
    assert seen == [START, *DELTAS]


@pytest.mark.parametrize("ending", [b"", b"data: {", b'data: {"type": "delta", "index": 2, "text": "?"}\n'])
def test_a_stream_that_ends_before_done_is_truncated_and_keeps_its_text(ending: bytes, connect: Connect) -> None:
    with (
        fake_gateway(stop_after(START, *DELTAS, ending)) as gateway,
        pytest.raises(StreamTruncated) as raised,
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        list(events)
    assert raised.value.text == RESPONSE.text


def test_a_stream_that_falls_silent_is_truncated(connect: Connect) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin_stream(START, DELTAS[0])
        exchange.wait_until_the_caller_leaves()

    def read_until_silent(url: str) -> None:
        # On a busy machine the beginning may come too late for the first of them.
        for seconds in (0.1, 1, 10):
            client = connect(url, silence_timeout=seconds)
            with suppress(ConnectionFailed), client.stream_text(**REQUEST) as events:
                list(events)

    with fake_gateway(play) as gateway, pytest.raises(StreamTruncated) as raised:
        read_until_silent(gateway.url)
    assert raised.value.text == DELTAS[0].text
    assert raised.value.__cause__ is not None


def test_what_only_a_newer_gateway_sends_is_passed_over(connect: Connect) -> None:
    newer = f'data: {{"type": "usage"}}\n\ndata: {json.dumps({"type": "done", "response": NEWER})}\n\n'.encode()
    with (
        fake_gateway(stop_after(START, newer)) as gateway,
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        assert list(events) == [START, WHOLE_STREAM[-1]]


def test_a_code_of_a_newer_gateway_is_no_known_exception(connect: Connect) -> None:
    event = {"type": "error", "problem": NEWER_PROBLEM}
    with (
        fake_gateway(stop_after(START, f"data: {json.dumps(event)}\n\n".encode())) as gateway,
        pytest.raises(TorchbridgeError, match=PROBLEM.detail) as raised,
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        list(events)
    assert type(raised.value) is TorchbridgeError


@pytest.mark.parametrize(
    "wire", [b"data: [DONE]\n\n", b"data: 17\n\n", b'data: {"type": "delta"}\n\n', b"data: \xff\n\n"]
)
def test_an_event_that_is_not_the_gateways_is_a_protocol_failure(wire: bytes, connect: Connect) -> None:
    with (
        fake_gateway(stop_after(START, wire)) as gateway,
        pytest.raises(errors.UpstreamProtocol, match="the stream is not the gateway's"),
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        list(events)


def test_an_answer_that_is_no_stream_is_a_protocol_failure(connect: Connect) -> None:
    with (
        fake_gateway(answers(200, "<html>", "text/html")) as gateway,
        pytest.raises(errors.UpstreamProtocol, match="expected an event stream, but the answer has text/html"),
        connect(gateway.url).stream_text(**REQUEST) as events,
    ):
        list(events)
