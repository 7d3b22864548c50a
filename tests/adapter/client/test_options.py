import time
from contextlib import suppress

import pytest

from adapter import errors
from adapter.client import StreamTruncated, TimedOut
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, answers, fake_gateway
from tests.adapter.wire import REQUEST, RESPONSE, START
from tests.fakes import FakeInference


def test_a_call_says_how_it_is_treated(connect: Connect) -> None:
    with fake_gateway(answers(200, RESPONSE.model_dump())) as gateway:
        connect(gateway.url, headers={"x-tenant": "a", "x-shard": "b"}).generate_text(
            **REQUEST,
            timeout=2.5,
            first_token_timeout=1,
            request_id="story-1",
            user="ada",
            use_cache=False,
            headers={"X-Tenant": "c"},
        )
    [exchange] = gateway.exchanges
    said = {
        "x-request-timeout": "2.5",
        "x-first-token-timeout": "1",
        "x-request-id": "story-1",
        "x-user": "ada",
        "cache-control": "no-cache",
        "x-tenant": "c",
        "x-shard": "b",
    }
    assert {name: exchange.headers.get(name) for name in said} == said
    assert exchange.body == b'{"prompt":"Hello"}'


def test_a_call_that_says_nothing_sends_nothing_of_it(connect: Connect) -> None:
    with fake_gateway(answers(200, RESPONSE.model_dump())) as gateway:
        connect(gateway.url).generate_text(**REQUEST, timeout=None, use_cache=True)
    headers = gateway.exchanges[0].headers.keys()
    assert not headers & {"x-request-timeout", "x-first-token-timeout", "x-request-id", "x-user", "cache-control"}


def test_the_gateway_ends_what_takes_longer_than_its_call_allows(
    address: str, connect: Connect, inference: FakeInference
) -> None:
    inference.script = [inference.is_closed.wait]
    with pytest.raises(errors.DeadlineExceeded) as raised:
        connect(address).generate_text(**REQUEST, timeout=0.05, request_id="story-1")
    assert raised.value.request_id == "story-1"


def test_the_client_ends_what_a_gateway_does_not(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.client.request._MARGIN", 0.05)
    with fake_gateway(Exchange.wait_until_the_caller_leaves) as gateway, pytest.raises(TimedOut):
        connect(gateway.url).generate_text(**REQUEST, timeout=0.05)


def test_an_answer_that_trickles_is_ended_too(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.client.request._MARGIN", 0.05)

    def trickle(exchange: Exchange) -> None:
        exchange.begin(200, "application/json")
        with suppress(OSError):  # the caller is gone
            while True:
                exchange.send(b" ")
                time.sleep(0.001)

    with fake_gateway(trickle) as gateway, pytest.raises(TimedOut, match="took too long"):
        connect(gateway.url).generate_text(**REQUEST, timeout=0.05)


def test_a_stream_says_its_time_too(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.client.request._MARGIN", 0.05)

    def stall(exchange: Exchange) -> None:
        exchange.begin_stream(START)
        exchange.wait_until_the_caller_leaves()

    with fake_gateway(stall) as gateway:
        stream = connect(gateway.url).stream_text(**REQUEST, timeout=1)
        assert next(stream) == START
        with pytest.raises(StreamTruncated) as raised:
            next(stream)
    assert isinstance(raised.value.__cause__, TimedOut)


def test_an_answer_says_who_gave_it(address: str, connect: Connect) -> None:
    answer = connect(address).generate_text(**REQUEST, request_id="story-1")
    assert (answer.id, answer.model, answer.model_version) == ("story-1", "tiny", "1.0")
    assert answer.model_digest
