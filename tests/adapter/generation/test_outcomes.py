import asyncio

import pytest

from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
    Internal,
    InvalidRequest,
    KeyRefused,
    ModelNotReady,
    OutOfMemory,
    Overloaded,
    PayloadTooLarge,
    PromptTooLong,
    RateLimited,
    ShuttingDown,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.generation.deadlines import OutOfTime
from adapter.generation.outcomes import End, Outcomes, counted
from adapter.generation.timed_attempt import Duration
from adapter.schema import GenerationResponse
from tests.adapter.generation.fake_attempt import FakeAttempt
from tests.adapter.generation.held_generations import ANSWER, HeldGenerations, text_of

RESPONSE: GenerationResponse = ANSWER[-1][-1].response

OF_THE_VERSION = (
    *(DeadlineExceeded, GenerationFailed, Internal, ModelNotReady),
    *(OutOfMemory, UpstreamProtocol, WorkerDied),
)
OF_OTHERS = (
    *(InvalidRequest, KeyRefused, Overloaded, PayloadTooLarge, PromptTooLong, RateLimited),
    *(ShuttingDown, UpstreamUnavailable, VersionNotFound),
)


@pytest.mark.parametrize("error", OF_THE_VERSION)
def test_what_the_version_did_is_a_trial(error: type[TorchbridgeError]) -> None:
    outcomes = Outcomes()
    assert outcomes.add(error("no"), FakeAttempt(has_failed=True))
    assert (outcomes.failures, outcomes.num_cut) == ({error.code: 1}, 0)


@pytest.mark.parametrize("error", OF_OTHERS)
def test_what_comes_from_its_side_and_is_not_its_own_is_none(error: type[TorchbridgeError]) -> None:
    outcomes = Outcomes()
    assert not outcomes.add(error("no"), FakeAttempt(has_failed=True))
    assert (outcomes.failures, outcomes.num_cut) == ({}, 0)


def test_a_bug_of_ours_that_its_answer_brings_out_is_a_failure() -> None:
    outcomes = Outcomes()
    assert outcomes.add(LookupError("a bug"), FakeAttempt(has_failed=True))
    assert outcomes.failures == {"internal": 1}


@pytest.mark.parametrize("error", [*OF_THE_VERSION, *OF_OTHERS, LookupError])
def test_before_the_version_has_the_request_nothing_is_its_own(error: type[Exception]) -> None:
    outcomes = Outcomes()
    assert not outcomes.add(error("no"), FakeAttempt(has_begun=False))
    assert (outcomes.failures, outcomes.num_cut) == ({}, 0)


ENDS_FROM_OUTSIDE = (
    *(asyncio.CancelledError(), GeneratorExit(), ShuttingDown("no"), LookupError("a bug of ours")),
    OutOfTime("no", 10.0, is_callers=True),
)


@pytest.mark.parametrize("end", ENDS_FROM_OUTSIDE, ids=repr)
def test_what_others_cut_short_is_counted_apart(end: BaseException) -> None:
    outcomes = Outcomes()
    assert not outcomes.add(end, FakeAttempt(waited=9.0))
    assert (outcomes.num_cut, outcomes.failures) == (1, {})


@pytest.mark.parametrize(("waited", "num_failures"), [(5.1, 1), (5.0, 0)], ids=["most of it", "less"])
def test_the_operators_limit_is_a_failure_of_a_version_that_had_most_of_it(waited: float, num_failures: int) -> None:
    outcomes = Outcomes()
    assert outcomes.add(OutOfTime("no", 10.0, is_callers=False), FakeAttempt(waited=waited)) == bool(num_failures)
    assert (outcomes.failures.total(), outcomes.num_cut) == (num_failures, 1 - num_failures)


def test_what_another_request_ran_for_is_no_trial() -> None:
    outcomes = Outcomes()
    assert not outcomes.add(RESPONSE, FakeAttempt(has_begun=False))
    assert (outcomes.num_answers, outcomes.time_to_first_token) == (0, None)


def whole(seconds: float) -> Duration:
    return Duration(seconds, is_whole=True)


def test_times_are_those_of_the_version() -> None:
    outcomes = Outcomes()
    for number in range(1, 101):
        outcomes.add(RESPONSE, FakeAttempt(whole(number / 10), whole(float(number))))
    assert outcomes.time_to_first_token == (5.0, 9.5)
    assert outcomes.time_per_token == (50.0, 95.0)


def test_one_answer_is_a_spread_of_its_own_and_may_have_no_time_per_token() -> None:
    outcomes = Outcomes()
    outcomes.add(RESPONSE, FakeAttempt(whole(2.0), Duration(0.0, is_whole=False)))
    assert (outcomes.time_to_first_token, outcomes.time_per_token) == ((2.0, 2.0), None)


def test_only_the_last_thousand_times_are_kept() -> None:
    outcomes = Outcomes()
    for seconds in [9.0] * 1_000 + [1.0] * 1_000:
        outcomes.add(RESPONSE, FakeAttempt(whole(seconds)))
    assert (outcomes.num_answers, outcomes.time_to_first_token) == (2_000, (1.0, 1.0))


# counted


async def test_an_answer_is_counted_before_its_last_event_is_given_and_once() -> None:
    ends: list[End] = []
    arrivals = counted(HeldGenerations(*ANSWER).run(), ends.append)
    async for events in arrivals:
        assert len(ends) == (events == ANSWER[-1])
        if ends:
            break
    await arrivals.aclose()
    assert ends == [RESPONSE]


async def test_a_failure_is_counted_and_raised() -> None:
    ends: list[End] = []
    with pytest.raises(WorkerDied) as raised:
        await text_of(counted(HeldGenerations(*ANSWER[:2], WorkerDied("died")).run(), ends.append))
    assert ends == [raised.value]


async def test_an_answer_without_an_end_is_a_failure() -> None:
    async def endless() -> object:
        yield ANSWER[0]

    ends: list[End] = []
    with pytest.raises(UpstreamProtocol):
        await text_of(counted(endless(), ends.append))
    assert [type(end) for end in ends] == [UpstreamProtocol]


async def test_who_leaves_before_the_end_is_counted_as_that_and_closes_what_runs() -> None:
    ends: list[End] = []
    source = HeldGenerations(*ANSWER)
    arrivals = counted(source.run(), ends.append)
    await anext(arrivals)
    await arrivals.aclose()
    assert [type(end) for end in ends] == [GeneratorExit]
    assert source.num_closed == 1
