import asyncio

import pytest

from adapter.errors import (
    DeadlineExceeded,
    GenerationFailed,
    Internal,
    InvalidRequest,
    ModelNotReady,
    OutOfMemory,
    Overloaded,
    PromptTooLong,
    RateLimited,
    ShuttingDown,
    TorchbridgeError,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.generation.outcomes import End, Outcomes, counted
from adapter.schema import GenerationResponse
from tests.adapter.generation.held_generations import ANSWER, HeldGenerations, text_of

RESPONSE: GenerationResponse = ANSWER[-1][-1].response

OF_THE_MODEL_SERVER = (
    *(DeadlineExceeded, GenerationFailed, Internal, ModelNotReady),
    *(OutOfMemory, UpstreamProtocol, UpstreamUnavailable, WorkerDied),
)
OF_OTHERS = (InvalidRequest, Overloaded, PromptTooLong, RateLimited, ShuttingDown, VersionNotFound)


@pytest.mark.parametrize("error", OF_THE_MODEL_SERVER)
def test_what_the_model_server_did_is_a_trial(error: type[TorchbridgeError]) -> None:
    outcomes = Outcomes()
    assert outcomes.add(error("no"))
    assert outcomes.failures == {error.code: 1}


@pytest.mark.parametrize("error", OF_OTHERS)
def test_what_the_caller_or_a_limit_did_is_none(error: type[TorchbridgeError]) -> None:
    outcomes = Outcomes()
    assert not outcomes.add(error("no"))
    assert not outcomes.failures


def test_a_bug_of_the_gateway_is_a_failure() -> None:
    outcomes = Outcomes()
    assert outcomes.add(LookupError("a bug"))
    assert outcomes.failures == {"internal": 1}


@pytest.mark.parametrize("left", [asyncio.CancelledError(), GeneratorExit()], ids=repr)
def test_who_left_is_counted_apart(left: BaseException) -> None:
    outcomes = Outcomes()
    assert not outcomes.add(left)
    assert (outcomes.num_cancelled, outcomes.failures) == (1, {})


def test_an_answer_from_the_cache_is_no_trial() -> None:
    outcomes = Outcomes()
    assert not outcomes.add(RESPONSE.model_copy(update={"cached": True}))
    assert (outcomes.num_answers, outcomes.time_to_first_token) == (0, None)


def test_times_are_those_of_the_answers() -> None:
    outcomes = Outcomes()
    for tenths in range(1, 101):
        own = {"time_to_first_token": tenths / 10, "generation_time": float(tenths), "tokens_generated": 10}
        outcomes.add(RESPONSE.model_copy(update=own))
    assert outcomes.time_to_first_token == (5.0, 9.5)
    assert outcomes.time_per_token == (5.0, 9.5)


def test_one_answer_is_a_spread_of_its_own_and_one_without_tokens_has_no_time_per_token() -> None:
    outcomes = Outcomes()
    outcomes.add(RESPONSE.model_copy(update={"time_to_first_token": 2.0, "tokens_generated": 0}))
    assert (outcomes.time_to_first_token, outcomes.time_per_token) == ((2.0, 2.0), None)


def test_only_the_last_thousand_times_are_kept() -> None:
    outcomes = Outcomes()
    for seconds in [9.0] * 1_000 + [1.0] * 1_000:
        outcomes.add(RESPONSE.model_copy(update={"time_to_first_token": seconds}))
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
