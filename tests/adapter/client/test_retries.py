import json

import pytest

from adapter import errors
from adapter.client import ConnectionRefused, TimedOut
from adapter.client import retry as retry_module
from adapter.client.retry import retry_delay
from adapter.schema import ErrorCode, Problem
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import Exchange, Play, fake_gateway
from tests.adapter.wire import DELTAS, REQUEST, RESPONSE, START, WHOLE_STREAM

BUSY = Problem.of(ErrorCode.OVERLOADED, "64 requests are already waiting", retry_after=0)
INVALID = Problem.of(ErrorCode.INVALID_REQUEST, "prompt is missing")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module.random, "uniform", lambda _, __: 0.0)


def in_turn(*plays: Play) -> Play:
    left = iter(plays)

    def play(exchange: Exchange) -> None:
        next(left)(exchange)

    return play


def fail(problem: Problem) -> Play:
    return lambda exchange: exchange.answer(problem.status, problem.model_dump(), "application/problem+json")


def succeed(exchange: Exchange) -> None:
    exchange.answer(200, RESPONSE.model_dump())


def hang_up(exchange: Exchange) -> None:
    exchange.http.close_connection = True


def test_what_may_pass_is_tried_again(connect: Connect) -> None:
    with fake_gateway(in_turn(fail(BUSY), hang_up, succeed)) as gateway:
        assert connect(gateway.url, max_retries=2).generate_text(**REQUEST) == RESPONSE
    assert [json.loads(exchange.body) for exchange in gateway.exchanges] == [REQUEST] * 3


def test_a_stream_is_tried_again_before_its_first_event(connect: Connect) -> None:
    with fake_gateway(in_turn(fail(BUSY), lambda exchange: exchange.begin_stream(*WHOLE_STREAM))) as gateway:
        assert list(connect(gateway.url, max_retries=1).stream_text(**REQUEST)) == WHOLE_STREAM


def test_a_stream_is_not_tried_again_after_an_event(connect: Connect) -> None:
    with fake_gateway(lambda exchange: exchange.begin_stream(START, *DELTAS)) as gateway:
        with pytest.raises(errors.UpstreamUnavailable):
            list(connect(gateway.url, max_retries=5).stream_text(**REQUEST))
        assert len(gateway.exchanges) == 1


@pytest.mark.parametrize(
    ("problem", "options", "attempts"),
    [
        (INVALID, {}, 1),
        (BUSY, {}, 3),
        (BUSY, {"max_retries": 0}, 1),
        (BUSY, {"max_retries": 4}, 5),
    ],
    ids=["final", "by itself", "never", "as the call says"],
)
def test_it_is_tried_as_often_as_is_said(
    connect: Connect, problem: Problem, options: dict[str, int], attempts: int
) -> None:
    with fake_gateway(fail(problem)) as gateway:
        with pytest.raises(errors.TorchbridgeError) as raised:
            connect(gateway.url, max_retries=2).generate_text(**REQUEST, **options)
        assert len(gateway.exchanges) == attempts
    assert raised.value.problem == problem


@pytest.mark.parametrize("method", ["health", "live"])
def test_how_the_gateway_is_now_is_asked_for_once(connect: Connect, method: str) -> None:
    with fake_gateway(fail(BUSY)) as gateway:
        with pytest.raises(errors.Overloaded):
            getattr(connect(gateway.url, max_retries=2), method)()
        assert len(gateway.exchanges) == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.Overloaded("", retry_after=7), 7),
        (errors.Overloaded("", retry_after=3_600), 60),
        (errors.UpstreamProtocol.of(Problem.of(ErrorCode.UPSTREAM_PROTOCOL, "", retryable=True)), 0),
        (ConnectionRefused(""), 0),
        (ConnectionRefused("", is_final=True), None),
        (TimedOut(""), None),
        (errors.InvalidRequest(""), None),
    ],
)
def test_the_pause_is_as_long_as_the_answer_says(error: errors.TorchbridgeError, seconds: float | None) -> None:
    assert retry_delay(error, 0) == seconds


def test_a_random_time_is_added_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module.random, "uniform", lambda _, most: most)
    pauses = [retry_delay(errors.Overloaded("", retry_after=1), number) for number in range(6)]
    assert pauses == [1.5, 2, 3, 5, 9, 9]
