"""Streams that end early: by their own loop, by another thread, by being lost."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapter.client import GatewayClient, Stream, StreamClosed
from adapter.schema import ErrorCode, Problem
from benchmarks.own_certificate import server_context
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, FakeGateway, fake_gateway
from tests.adapter.wire import DELTAS, REQUEST, RESPONSE, START, WHOLE_STREAM
from tests.fakes import FakeInference
from tests.waiting import PATIENCE, wait_until

NEVER = Exchange.wait_until_the_caller_leaves


@pytest.fixture
def other_thread() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def start_and_stall(exchange: Exchange) -> None:
    exchange.begin_stream(START)
    NEVER(exchange)


def caller_left(gateway: FakeGateway) -> bool:
    [exchange] = gateway.exchanges
    return exchange.caller_left.wait(PATIENCE)


def assert_closes_behind_its_start(gateway: FakeGateway, other_thread: Callable[..., Future[Any]]) -> None:
    stream = GatewayClient(gateway.url, silence_timeout=2 * PATIENCE).stream_text(**REQUEST)
    assert next(stream) == START
    waiting = other_thread(next, stream)
    wait_until(lambda: stream._wire._is_busy)
    stream.close()
    with pytest.raises(StreamClosed):
        waiting.result(PATIENCE)
    assert caller_left(gateway)


def test_another_thread_closes_a_stream_that_waits_for_an_event(
    other_thread: Callable[..., Future[Any]],
) -> None:
    with fake_gateway(start_and_stall) as gateway:
        assert_closes_behind_its_start(gateway, other_thread)


def test_another_thread_closes_a_stream_that_waits_for_its_answer_to_begin(
    other_thread: Callable[..., Future[Any]],
) -> None:
    with fake_gateway(NEVER) as gateway:
        stream = GatewayClient(gateway.url, silence_timeout=2 * PATIENCE).stream_text(**REQUEST)
        waiting = other_thread(next, stream)
        wait_until(lambda: bool(gateway.exchanges))
        stream.close()
        with pytest.raises(StreamClosed):
            waiting.result(PATIENCE)
        assert caller_left(gateway)


def test_another_thread_closes_a_stream_over_a_connection_that_was_kept(
    address: str, inference: FakeInference, other_thread: Callable[..., Future[Any]]
) -> None:
    with GatewayClient(address, silence_timeout=2 * PATIENCE) as client:
        client.models()
        inference.script = [inference.is_closed.wait]
        stream = client.stream_text(**REQUEST)
        waiting = other_thread(next, stream)
        wait_until(lambda: bool(inference.requests))
        stream.close()
        with pytest.raises(StreamClosed):
            waiting.result(PATIENCE)
        wait_until(inference.is_closed.is_set)


def test_another_thread_closes_a_stream_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_thread: Callable[..., Future[Any]]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with fake_gateway(start_and_stall, server_context(tmp_path / "own.pem")) as gateway:
        assert_closes_behind_its_start(gateway, other_thread)


def test_another_thread_closes_a_stream_that_pauses_before_another_attempt(
    other_thread: Callable[..., Future[Any]],
) -> None:
    busy = Problem.of(ErrorCode.OVERLOADED, "busy", retry_after=60)
    with fake_gateway(lambda exchange: exchange.answer(503, busy.model_dump())) as gateway:
        stream = GatewayClient(gateway.url, silence_timeout=2 * PATIENCE).stream_text(**REQUEST)
        waiting = other_thread(next, stream)
        wait_until(lambda: bool(gateway.exchanges) and stream._wire._connection is None)
        stream.close()
        with pytest.raises(StreamClosed):
            waiting.result(30)
        assert len(gateway.exchanges) == 1


def test_a_stream_that_is_closed_before_it_is_read_asks_for_nothing(connect: Connect) -> None:
    with fake_gateway(NEVER) as gateway:
        stream = connect(gateway.url).stream_text(**REQUEST)
        stream.close()
        with pytest.raises(StreamClosed):
            next(stream)
        assert gateway.exchanges == []


def test_a_stream_that_is_read_after_its_block_is_closed(connect: Connect) -> None:
    with fake_gateway(start_and_stall) as gateway:
        with connect(gateway.url).stream_text(**REQUEST) as stream:
            assert next(stream) == START
        with pytest.raises(StreamClosed):
            next(stream)
        assert caller_left(gateway)


def test_a_stream_can_be_closed_again(connect: Connect) -> None:
    with fake_gateway(start_and_stall) as gateway:
        stream = connect(gateway.url).stream_text(**REQUEST)
        assert next(stream) == START
        stream.close()
        stream.close()
        assert caller_left(gateway)


def test_a_loop_needs_no_block_and_cancels_when_it_is_left(connect: Connect) -> None:
    with fake_gateway(start_and_stall) as gateway:
        for event in connect(gateway.url).stream_text(**REQUEST):
            assert event == START
            break
        gc.collect()
        assert caller_left(gateway)


def test_a_stream_has_its_text_and_at_its_end_its_response(connect: Connect) -> None:
    with fake_gateway(lambda exchange: exchange.begin_stream(*WHOLE_STREAM)) as gateway:
        stream = connect(gateway.url).stream_text(**REQUEST)
        assert [next(stream), next(stream), stream.text] == [START, DELTAS[0], DELTAS[0].text]
        with pytest.raises(RuntimeError, match="read"):
            _ = stream.response
        assert stream.read() == stream.response == RESPONSE
        assert stream.text == RESPONSE.text


def test_a_stream_is_given_once(connect: Connect) -> None:
    with fake_gateway(lambda exchange: exchange.begin_stream(*WHOLE_STREAM)) as gateway:
        stream = connect(gateway.url).stream_text(**REQUEST)
        assert list(stream) == WHOLE_STREAM
        assert list(stream) == []
        stream.close()
        assert list(stream) == []
        assert len(gateway.exchanges) == 1


def test_a_failure_leaves_the_text_that_was_there(connect: Connect) -> None:
    problem = Problem.of(ErrorCode.WORKER_DIED, "died").model_dump_json()
    died = f'data: {{"type": "error", "problem": {problem}}}\n\n'.encode()
    with fake_gateway(lambda exchange: exchange.begin_stream(START, *DELTAS, died)) as gateway:
        stream: Stream[Any, Any] = connect(gateway.url).stream_text(**REQUEST)
        with pytest.raises(Exception, match="died"):
            list(stream)
        assert stream.text == RESPONSE.text
        with pytest.raises(StreamClosed):
            next(stream)
