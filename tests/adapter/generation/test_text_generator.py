import asyncio
from contextlib import aclosing

import pytest

from adapter.errors import (
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
)
from adapter.generation.text_generator import TextGenerator
from adapter.schema import DoneEvent
from tests.adapter.generation.generators import FIRST, REQUEST, START, call, make_generator, take_all, wait_for_ever
from tests.fakes import FakeInference, FakeManagement, wait_for


async def test_pins_the_model_and_version(generator: TextGenerator, inference: FakeInference) -> None:
    await generator.complete(REQUEST, call())
    assert (inference.requests[0].model, inference.requests[0].model_version) == ("tiny", "1.0")


async def test_folds_the_events_into_one_response(generator: TextGenerator) -> None:
    response = await generator.complete(REQUEST, call())
    assert (response.text, response.id) == ("Hello world", "request-1")


async def test_only_the_text_of_a_stream_is_read_while_it_grows(
    generator: TextGenerator, inference: FakeInference
) -> None:
    await generator.complete(REQUEST, call())
    await take_all(generator.stream(REQUEST, call()))
    assert [each.is_streamed for each in inference.calls] == [False, True]


async def test_an_unknown_model_never_reaches_torchserve(generator: TextGenerator, inference: FakeInference) -> None:
    with pytest.raises(ModelNotFound):
        await generator.complete(REQUEST.model_copy(update={"model": "nobody"}), call())
    assert not inference.requests


async def test_a_full_queue_is_overload(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [Overloaded("full")]
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())


async def test_the_same_answer_without_a_ready_worker_is_a_model_that_loads(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def lose_the_worker() -> None:
        management.served["tiny"]["1.0"] = 0

    inference.script = [lose_the_worker, Overloaded("full")]
    with pytest.raises(ModelNotReady):
        await generator.complete(REQUEST, call())


async def test_an_answer_without_an_end_makes_no_sense(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = []
    with pytest.raises(UpstreamProtocol):
        await generator.complete(REQUEST, call())


async def test_a_stream_without_an_end_makes_no_sense(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [START, FIRST]
    with pytest.raises(UpstreamProtocol):
        await take_all(generator.stream(REQUEST, call()))


async def test_a_version_that_has_just_gone_makes_way_for_the_new_default(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def be_replaced() -> None:
        management.served["tiny"] = {"2.0": 1}
        inference.script = None
        raise VersionNotFound("gone")

    await generator.complete(REQUEST, call())
    inference.script = [be_replaced]
    assert (await generator.complete(REQUEST, call())).model_version == "2.0"
    assert [request.model_version for request in inference.requests] == ["1.0", "1.0", "2.0"]


async def test_a_version_that_was_asked_for_and_has_just_gone_is_not_replaced(
    generator: TextGenerator, inference: FakeInference, management: FakeManagement
) -> None:
    async def be_replaced() -> None:
        management.served["tiny"] = {"2.0": 1}
        raise VersionNotFound("gone")

    inference.script = [be_replaced]
    with pytest.raises(VersionNotFound, match="has no version"):
        await generator.complete(REQUEST.model_copy(update={"model_version": "1.0"}), call())
    assert len(inference.requests) == 1


async def test_a_version_that_only_its_description_knows_is_not_found(
    generator: TextGenerator, inference: FakeInference
) -> None:
    inference.script = [VersionNotFound("gone")]
    with pytest.raises(VersionNotFound, match="gone"):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 1


async def test_leaving_the_stream_closes_the_one_below(generator: TextGenerator, inference: FakeInference) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as events:
        await anext(events)
    assert inference.is_closed.is_set()


# Limits


async def test_what_was_taken_is_let_go_when_the_next_is_asked_for(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        first = await anext(arrivals)
        assert [event.type for event in first] == ["start", "delta"]
        await anext(arrivals)
    assert first == []


async def test_one_more_than_may_be_live_is_refused_at_once(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_live=1)
    inference.script = [wait_for_ever]
    first = asyncio.create_task(generator.complete(REQUEST, call()))
    await wait_for(lambda: inference.requests)
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())
    first.cancel()


async def test_a_request_that_has_ended_makes_room_for_the_next(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_live=1)
    for _ in range(3):
        assert (await generator.complete(REQUEST, call())).text == "Hello world"


async def test_only_as_many_as_the_worker_has_slots_reach_it(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 2
    generator = make_generator(management, inference, max_waiting=1)
    inference.script = [wait_for_ever]
    running = [asyncio.create_task(generator.complete(REQUEST, call())) for _ in range(3)]
    await wait_for(lambda: len(inference.requests) == 2)
    with pytest.raises(Overloaded, match="1 requests are already waiting"):
        await generator.complete(REQUEST, call())
    assert len(inference.requests) == 2
    running[0].cancel()
    await wait_for(lambda: len(inference.requests) == 3)
    for task in running:
        task.cancel()


async def test_one_too_many_in_the_line_is_refused_without_asking_torchserve(
    management: FakeManagement, inference: FakeInference
) -> None:
    management.slots = 1
    generator = make_generator(management, inference, max_waiting=1)
    inference.script = [wait_for_ever]
    inside = [asyncio.create_task(generator.complete(REQUEST, call())) for _ in range(2)]
    await wait_for(generator._admission.num_waiting)
    management.failure = UpstreamUnavailable("no management")
    num_listings = management.num_listings
    with pytest.raises(Overloaded):
        await generator.complete(REQUEST, call())
    assert management.num_listings == num_listings
    for task in inside:
        task.cancel()


async def test_who_has_the_last_event_holds_nothing_any_more(
    generator: TextGenerator, inference: FakeInference
) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                break
        assert inference.is_closed.is_set()
        assert generator._num_live == 0


# What is counted


async def test_a_stream_that_is_left_with_its_last_event_is_an_answer(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                break
    assert b"torchbridge_answers_total{" in generator.metrics.render()
    assert b"torchbridge_failures_total{" not in generator.metrics.render()


async def test_a_stream_that_is_left_before_is_cancelled(generator: TextGenerator) -> None:
    async with aclosing(generator.stream(REQUEST, call())) as arrivals:
        await anext(arrivals)
    assert (
        b'torchbridge_failures_total{code="cancelled",model="tiny",model_version="1.0"} 1.0'
        in generator.metrics.render()
    )
    assert b"torchbridge_answers_total{" not in generator.metrics.render()


async def test_a_bug_is_an_internal_failure(generator: TextGenerator, inference: FakeInference) -> None:
    inference.script = [LookupError("a bug")]
    with pytest.raises(LookupError):
        await generator.complete(REQUEST, call())
    assert (
        b'torchbridge_failures_total{code="internal",model="tiny",model_version="1.0"} 1.0'
        in generator.metrics.render()
    )
