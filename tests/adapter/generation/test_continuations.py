"""An answer whose worker dies goes on at the next one, and its caller notices nothing."""

from collections.abc import Awaitable, Callable

import pytest

from adapter.errors import ModelNotReady, TorchbridgeError, WorkerDied
from adapter.generation.text_generator import TextGenerator
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    GenerationRequest,
    StartEvent,
    StreamEvent,
    TokenLogprob,
    WorkerDelta,
    WorkerRequest,
)
from tests.adapter.generation.generators import REQUEST, call, make_generator
from tests.adapter.generation.two_versions import TwoVersions
from tests.fakes import FakeInference, FakeManagement, answer_to

Step = StreamEvent | Exception | Callable[[], Awaitable[None]]
TEXTS = ("Once", " there", " was")


def told(index: int, text: str, *ids: int) -> WorkerDelta:
    return WorkerDelta(index=index, text=text, ids=ids)


def answer() -> list[StreamEvent]:
    asked = {**dict(REQUEST), "id": "request-1", "model": "tiny", "model_version": "1.0"}
    return answer_to(WorkerRequest.model_validate(asked), *TEXTS)


START, *_, DONE = answer()


def play(inference: FakeInference, *attempts: list[Step]) -> None:
    """One after the other."""
    remaining = list(attempts)

    def begin_next() -> None:
        *steps, last = remaining.pop(0)
        inference.script = [*steps, end, last]

    async def end() -> None:
        if remaining:
            begin_next()

    begin_next()


async def take(generator: TextGenerator, request: GenerationRequest = REQUEST) -> list[StreamEvent]:
    return [event async for events in generator.stream(request, call()) for event in list(events)]


FIRST_PART: list[Step] = [START, told(0, TEXTS[0], 7, 8), told(1, TEXTS[1], 9), WorkerDied("died")]
REST: list[Step] = [START, told(0, TEXTS[2], 10), DONE]


async def test_a_stream_goes_on_where_its_worker_died(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST)
    events = await take(generator)

    assert [event.type for event in events] == ["start", "delta", "delta", "delta", "done"]
    assert [(event.index, event.text) for event in events if isinstance(event, DeltaEvent)] == [*enumerate(TEXTS)]
    assert [each.answer_ids for each in inference.calls] == [(), (7, 8, 9)]


async def test_so_does_a_unary_answer(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST)

    assert (await generator.complete(REQUEST, call())).text == "".join(TEXTS)
    assert [each.answer_ids for each in inference.calls] == [(), (7, 8, 9)]


async def test_all_workers_of_an_answer_have_one_seed(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST, [START, told(0, "x", 1), DONE])
    await take(generator)
    first, second = (request.seed for request in inference.requests)

    assert first == second
    assert first is not None


async def test_each_answer_has_a_seed_of_its_own(generator: TextGenerator, inference: FakeInference) -> None:
    for _ in range(2):
        await generator.complete(REQUEST, call())
    await generator.complete(REQUEST.model_copy(update={"seed": 5}), call())
    *drawn, asked = (request.seed for request in inference.requests)

    assert len(set(drawn)) == 2
    assert asked == 5


async def test_tokens_of_all_attempts_are_gone_on_behind(generator: TextGenerator, inference: FakeInference) -> None:
    play(
        inference,
        [START, told(0, TEXTS[0], 7), WorkerDied("died")],
        [START, told(0, TEXTS[1], 8), WorkerDied("died")],
        REST,
    )
    events = await take(generator)

    assert [event.index for event in events if isinstance(event, DeltaEvent)] == [0, 1, 2]
    assert inference.calls[-1].answer_ids == (7, 8)


async def test_an_answer_goes_on_as_often_as_the_setting_says(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_continuations=1)
    play(inference, *[[START, told(0, "x", 7), WorkerDied("died")]] * 3)
    with pytest.raises(WorkerDied) as death:
        await take(generator)

    assert len(inference.requests) == 2
    assert not death.value.to_problem().retryable


async def test_a_unary_answer_that_may_not_go_on_is_run_again(
    management: FakeManagement, inference: FakeInference
) -> None:
    generator = make_generator(management, inference, max_continuations=0)
    play(inference, FIRST_PART, [START, DONE])

    assert (await generator.complete(REQUEST, call())).text == "".join(TEXTS)
    assert [each.answer_ids for each in inference.calls] == [(), ()]


async def test_what_kills_the_next_worker_at_once_is_not_tried_a_third_time(
    generator: TextGenerator, inference: FakeInference
) -> None:
    play(inference, FIRST_PART, [START, WorkerDied("died")], REST)
    with pytest.raises(WorkerDied) as death:
        await take(generator)

    assert len(inference.requests) == 2
    assert not death.value.to_problem().retryable


@pytest.mark.parametrize("failure", [ModelNotReady("x"), WorkerDied("x")], ids=["not ready", "dead"])
async def test_another_failure_between_forgets_nothing(
    generator: TextGenerator, inference: FakeInference, failure: TorchbridgeError
) -> None:
    play(inference, [START, failure], FIRST_PART, [ModelNotReady("x")], REST)
    events = await take(generator)

    assert "".join(event.text for event in events if isinstance(event, DeltaEvent)) == "".join(TEXTS)
    assert [each.answer_ids for each in inference.calls] == [(), (), (7, 8, 9), (7, 8, 9)]


async def test_an_answer_does_not_go_on_by_another_archive(generator: TextGenerator, inference: FakeInference) -> None:
    assert isinstance(START, StartEvent)
    play(inference, FIRST_PART, [START.model_copy(update={"model_digest": "2e"}), told(0, "x", 1), DONE])
    with pytest.raises(WorkerDied, match="another archive") as death:
        await take(generator)

    assert len(inference.requests) == 2
    assert not death.value.to_problem().retryable


async def test_an_answer_behind_whose_last_text_nothing_can_go_on_ends_in_a_typed_error(
    generator: TextGenerator, inference: FakeInference
) -> None:
    play(inference, [START, told(0, "x", 7), WorkerDelta(index=1, text="y"), WorkerDied("died")], REST)
    with pytest.raises(WorkerDied):
        await take(generator)

    assert len(inference.requests) == 1


async def test_the_logprobs_of_the_whole_are_those_that_each_worker_has_told(
    generator: TextGenerator, inference: FakeInference
) -> None:
    first, untold, last = (
        TokenLogprob(id=7, token="x", bytes=(120,), logprob=logprob, top=()) for logprob in (-1.0, 0.0, -2.0)
    )
    assert isinstance(DONE, DoneEvent)
    done = DoneEvent(response=DONE.response.model_copy(update={"logprobs": (untold, last)}))
    play(
        inference,
        [START, WorkerDelta(index=0, text="x", ids=(7,), logprobs=(first,)), WorkerDied("died")],
        [START, WorkerDelta(index=0, text="x", ids=(7,), logprobs=(last,)), done],
    )

    assert (await generator.complete(REQUEST, call())).logprobs == (first, last)


async def test_its_times_are_those_of_the_whole(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST)
    response = (await take(generator))[-1].response

    assert 0 <= response.queue_time <= response.time_to_first_token
    assert response.generation_time > DONE.response.generation_time  # the last worker's part


async def test_the_first_text_is_not_waited_for_once_more(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST)
    [event async for events in generator.stream(REQUEST, call(first_text_deadline=60)) for event in events]

    assert [each.first_text_deadline for each in inference.calls][-1] == float("inf")


async def test_an_answer_goes_on_at_the_version_that_began_it() -> None:
    versions = TwoVersions()
    versions.inference.scripts = {"1.0": None, "2.0": None}

    async def switch() -> None:
        served = versions.management.served["tiny"]
        versions.management.served["tiny"] = {"2.0": served["2.0"], "1.0": served["1.0"]}
        versions.inference.scripts["1.0"] = REST
        await versions.generator._registry.served_anew()

    versions.inference.scripts["1.0"] = [*FIRST_PART[:-1], switch, WorkerDied("died")]
    events = await take(versions.generator)

    assert isinstance(events[-1], DoneEvent)
    assert [request.model_version for request in versions.inference.requests] == ["1.0", "1.0"]
    assert await versions.version_of() == "2.0"


async def test_it_is_counted(generator: TextGenerator, inference: FakeInference) -> None:
    play(inference, FIRST_PART, REST)
    await take(generator)

    metrics = generator.metrics.render().decode()
    assert "torchbridge_continuations_total 1.0" in metrics
    assert "torchbridge_retries_total 1.0" in metrics
