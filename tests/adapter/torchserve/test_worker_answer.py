import time

import pytest

from adapter.errors import ERROR_BY_CODE, GenerationFailed, TorchbridgeError, UpstreamProtocol
from adapter.event_stream import encode_event
from adapter.schema import (
    WORKER_EVENT,
    ErrorCode,
    ErrorEvent,
    Problem,
    StreamEvent,
    WorkerDelta,
    WorkerRequest,
)
from adapter.torchserve.worker_answer import CALLERS_FAULTS, WORKERS_FAULTS, WorkerAnswer
from tests.fakes import answer_to

REQUEST = WorkerRequest(prompt="Once", id="request-1", model="tiny", model_version="1.0")
START, _, _, DONE = answer_to(REQUEST, "Hello", " world")
FIRST, SECOND = WorkerDelta(index=0, text="Hello", ids=(7,)), WorkerDelta(index=1, text=" world")
FAILURE = ErrorEvent(problem=Problem.of(ErrorCode.GENERATION_FAILED, "no"))


def feed(*chunks: bytes) -> list[StreamEvent]:
    answer = WorkerAnswer(REQUEST, time.monotonic())
    return [event for chunk in chunks for events in answer.feed(chunk) for event in events]


def wire(*events: StreamEvent) -> bytes:
    return b"".join(encode_event(event, WORKER_EVENT) for event in events)


def test_passes_a_good_answer() -> None:
    assert [event.type for event in feed(wire(START, FIRST), wire(SECOND), wire(DONE))] == [
        "start",
        "delta",
        "delta",
        "done",
    ]


def test_passes_an_answer_without_any_text() -> None:
    assert [event.type for event in feed(wire(*answer_to(REQUEST)))] == ["start", "done"]


def test_replaces_the_workers_times() -> None:
    response = feed(wire(START, FIRST, SECOND, DONE))[-1].response
    assert 0 <= response.queue_time <= response.time_to_first_token


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([FIRST], id="delta before start"),
        pytest.param([DONE], id="done before start"),
        pytest.param([START, START], id="two starts"),
        pytest.param([START, SECOND], id="an index is missing"),
        pytest.param([START, FIRST, FIRST], id="an index is repeated"),
        pytest.param([START, DONE, DONE], id="two ends"),
        pytest.param([START, DONE, FIRST], id="text after the end"),
        pytest.param([START, FAILURE, DONE], id="an end after a failure"),
        pytest.param([START.model_copy(update={"id": "request-2"})], id="another request's start"),
        pytest.param([START.model_copy(update={"model_version": "2.0"})], id="another version's start"),
        pytest.param(
            [START, DONE.model_copy(update={"response": DONE.response.model_copy(update={"id": "request-2"})})],
            id="another request's end",
        ),
    ],
)
def test_refuses_an_answer_out_of_order(events: list[StreamEvent]) -> None:
    with pytest.raises(UpstreamProtocol):
        feed(wire(*events))


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"data: hello\n\n", id="not JSON"),
        pytest.param(b'data: {"type": "ping"}\n\n', id="unknown type"),
        pytest.param(b'data: {"type": "delta", "index": "a", "text": ""}\n\n', id="wrong field"),
    ],
)
def test_refuses_what_is_no_event(chunk: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        feed(wire(START), chunk)


def test_events_that_came_together_stay_together() -> None:
    answer = WorkerAnswer(REQUEST, 0)
    assert list(answer.feed(wire(START, FIRST, SECOND))) == [[START, FIRST, SECOND]]


def test_text_that_came_with_a_failure_is_not_lost() -> None:
    arrivals = WorkerAnswer(REQUEST, 0).feed(wire(START, FIRST, FAILURE))
    assert next(arrivals) == [START, FIRST]
    with pytest.raises(GenerationFailed):
        next(arrivals)


def test_half_an_event_is_no_event_yet() -> None:
    assert list(WorkerAnswer(REQUEST, 0).feed(wire(START)[:9])) == []


def test_raises_the_workers_own_failure() -> None:
    with pytest.raises(GenerationFailed):
        feed(wire(START, FIRST, FAILURE))


def test_a_failure_says_nothing_of_the_text() -> None:
    with pytest.raises(UpstreamProtocol) as failure:
        feed(wire(START, WorkerDelta(index=9, text="secret")))
    assert "secret" not in repr((failure.value.detail, failure.value.cause))


def failure_of_worker(code: ErrorCode) -> TorchbridgeError:
    problem = Problem.of(code, "In /tmp/handler.py", retry_after=9_000, request_id="request-2")
    with pytest.raises(TorchbridgeError) as failure:
        feed(wire(START, ErrorEvent(problem=problem)))
    return failure.value


@pytest.mark.parametrize("code", sorted(CALLERS_FAULTS | WORKERS_FAULTS))
def test_a_failure_that_a_worker_can_know_is_what_it_says(code: ErrorCode) -> None:
    assert type(failure_of_worker(code)) is ERROR_BY_CODE[code]


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - CALLERS_FAULTS - WORKERS_FAULTS))
def test_a_failure_that_only_the_gateway_can_know_makes_no_sense_from_a_worker(code: ErrorCode) -> None:
    failure = failure_of_worker(code)

    assert type(failure) is UpstreamProtocol
    assert code in (failure.cause or "")


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - CALLERS_FAULTS))
def test_a_workers_words_about_itself_are_for_the_log_only(code: ErrorCode) -> None:
    failure = failure_of_worker(code)

    assert failure.to_problem("request-1") == Problem.of(failure.code, failure.detail, request_id="request-1")
    assert "handler.py" not in failure.detail
    assert "In /tmp/handler.py" in (failure.cause or "")


@pytest.mark.parametrize("code", sorted(CALLERS_FAULTS))
def test_a_workers_words_about_the_callers_request_reach_the_caller(code: ErrorCode) -> None:
    assert failure_of_worker(code).detail == "In /tmp/handler.py"
