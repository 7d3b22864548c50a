"""Requests that a new version answers once more: their callers must not notice."""

import asyncio
import time
from contextlib import aclosing

import httpx
import pytest

from adapter.call import Call
from adapter.errors import GenerationFailed, PromptTooLong, TorchbridgeError, WorkerDied
from adapter.gateway import create_app
from adapter.generation import shadow
from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.generation.timed_attempt import TimedAttempt
from adapter.schema import ChatGenerationRequest, ChatMessage, GenerationRequest
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.generation.held_generations import settle
from tests.adapter.generation.shadowed import GREEDY, has_ended
from tests.adapter.generation.two_versions import REQUEST, TwoVersions, call, hurried_call, limited_call
from tests.fakes import wait_for

LONG = 1.0  # seconds, of which most is left when the version gets the request


async def test_the_default_answers_and_the_new_version_answers_once_more(two: TwoVersions) -> None:
    tried = two.begin(is_shadow=True)
    assert await two.version_of() == "1.0"
    await has_ended(two)
    assert [request.model_version for request in two.inference.requests] == ["1.0", "2.0"]
    assert (tried.control_outcomes.num_answers, tried.canary_outcomes.num_answers) == (1, 1)
    assert not two.traffic._live


async def test_only_the_share_is_answered_twice_and_all_count_for_the_default(two: TwoVersions) -> None:
    tried = two.begin(0.3, is_shadow=True)
    for _ in range(60):
        assert await two.version_of() == "1.0"
        await has_ended(two)
    assert tried.control_outcomes.num_answers == 60
    assert 0 < tried.canary_outcomes.num_answers < 60


async def test_it_is_asked_the_same_under_an_id_of_its_own(two: TwoVersions) -> None:
    seen: list[Call] = []
    run = two.generator.shadows._run

    def watched(pinned: object, request: GenerationRequest, call: Call, attempt: TimedAttempt) -> object:
        seen.append(call)
        return run(pinned, request, call, attempt)

    two.generator.shadows._run = watched
    two.begin(is_shadow=True)
    messages = [ChatMessage(role="user", content="Once")]
    asked = ChatGenerationRequest(prompt="Once", messages=messages, max_length=7, seed=3)
    await two.generator.complete(asked, call())
    await has_ended(two)
    [own] = seen
    assert two.inference.requests == [
        asked.model_copy(update={"model": "tiny", "model_version": version}) for version in ("1.0", "2.0")
    ]
    assert own.request_id == "request-1-shadow"


@pytest.mark.parametrize("failure", [GenerationFailed("no"), WorkerDied("died"), LookupError("a bug")], ids=repr)
async def test_its_failure_is_counted_and_logged_and_nobody_elses(
    two: TwoVersions, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    two.inference.scripts["2.0"] = [failure]
    tried = two.begin(is_shadow=True)
    assert await two.version_of() == "1.0"
    await has_ended(two)
    code = failure.code if isinstance(failure, TorchbridgeError) else "internal"
    assert tried.canary_outcomes.failures == {code: 1}
    assert len(two.inference.requests) == 2  # it is not tried again
    assert "request-1-shadow" in caplog.text
    assert b"torchbridge_failures_total{" not in two.generator.metrics.render()


async def test_a_caller_does_not_wait_for_it(two: TwoVersions) -> None:
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    assert await two.versions_of(3) == {"1.0": 3}
    async for _ in two.generator.stream(REQUEST, call()):
        pass
    await wait_for(lambda: two.traffic.of("tiny", "2.0").num_live == 4)
    assert (tried.control_outcomes.num_answers, two.generator._num_live) == (4, 0)
    await two.generator.shadows.__aexit__()


async def test_it_has_as_much_time_as_its_caller_gave_which_it_need_not_keep(two: TwoVersions) -> None:
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    assert await two.version_of(of=hurried_call(LONG)) == "1.0"
    await has_ended(two)
    assert (tried.canary_outcomes.failures, tried.canary_outcomes.num_cut) == ({}, 1)


async def test_it_fails_where_it_does_not_keep_the_operators_limit(two: TwoVersions) -> None:
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    assert await two.version_of(of=limited_call(LONG)) == "1.0"
    await has_ended(two)
    assert tried.canary_outcomes.failures == {"deadline_exceeded": 1}


async def test_what_outlives_its_caller_by_much_has_failed(two: TwoVersions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "_LEAST_LIMIT", LONG)
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    assert await two.version_of() == "1.0"
    await has_ended(two)
    assert tried.canary_outcomes.failures == {"deadline_exceeded": 1}


def test_its_limits_begin_when_it_does() -> None:
    received_at = time.monotonic() - 100
    asked = frozenset({received_at + 20})
    of = Call("a", received_at, received_at + 150, first_text_deadline=received_at + 20, asked_deadlines=asked)
    own = shadow._copy(of, took=100)
    assert own.deadline - own.received_at == pytest.approx(150)
    assert own.first_text_deadline - own.received_at == pytest.approx(20)
    assert own.received_at >= received_at + 100
    assert own.asked_deadlines == {own.first_text_deadline}


async def test_without_a_free_slot_it_is_dropped(two: TwoVersions) -> None:
    two.management.slots = 1
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    await two.version_of()
    await wait_for(lambda: two.generator._admission.queue("tiny", "2.0") == (0, 1))
    assert await two.versions_of(2) == {"1.0": 2}
    await wait_for(lambda: tried.num_dropped == 2)
    assert two.generator._admission.queue("tiny", "2.0") == (0, 1)
    assert tried.canary_outcomes.failures == {}
    await two.generator.shadows.__aexit__()


async def test_a_held_version_is_not_given_any(two: TwoVersions) -> None:
    tried = two.begin(is_shadow=True)
    two.traffic.hold("tiny", "2.0", 60)
    assert await two.version_of() == "1.0"
    await has_ended(two)
    assert (tried.num_dropped, len(two.inference.requests)) == (1, 1)


async def test_a_version_without_a_worker_fails_it(two: TwoVersions) -> None:
    two.management.served["tiny"]["2.0"] = 0
    tried = two.begin(is_shadow=True)
    assert await two.version_of() == "1.0"
    await has_ended(two)
    assert tried.canary_outcomes.failures == {"model_not_ready": 1}


async def test_a_request_that_failed_has_one_too(two: TwoVersions) -> None:
    two.inference.scripts["1.0"] = [GenerationFailed("no")]
    tried = two.begin(is_shadow=True)
    with pytest.raises(GenerationFailed):
        await two.version_of()
    await has_ended(two)
    assert (tried.control_outcomes.failures, tried.canary_outcomes.num_answers) == ({"generation_failed": 1}, 1)


async def test_a_request_that_is_tried_again_has_one(two: TwoVersions) -> None:
    two.inference.scripts["1.0"] = [WorkerDied("died")]
    tried = two.begin(is_shadow=True)
    with pytest.raises(WorkerDied):
        await two.version_of()
    await has_ended(two)
    assert (tried.control_outcomes.failures, tried.canary_outcomes.num_answers) == ({"worker_died": 2}, 1)


async def test_a_request_that_is_wrong_or_whose_caller_left_has_none(two: TwoVersions) -> None:
    two.begin(is_shadow=True)
    async with aclosing(two.generator.stream(REQUEST, call())) as arrivals:
        await anext(arrivals)
    two.inference.scripts["1.0"] = [PromptTooLong("too long")]
    with pytest.raises(PromptTooLong):
        await two.version_of()
    assert not two.generator.shadows._tasks


async def test_an_answer_from_the_cache_has_none_and_a_shadows_answer_is_not_kept() -> None:
    async with ResponseCache(MemoryStore(max_bytes=10_000, max_age=60)) as cache:
        two = TwoVersions(cache=cache)
        tried = two.begin(is_shadow=True)
        for _ in range(3):
            assert await two.version_of(GREEDY) == "1.0"
            await has_ended(two)
        assert len(two.inference.requests) == 2
        await two.version_of(GREEDY.model_copy(update={"model_version": "2.0"}))
        assert len(two.inference.requests) == 3
    assert tried.canary_outcomes.num_answers == 1


async def test_the_end_of_the_gateway_leaves_none(two: TwoVersions) -> None:
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    tried = two.begin(is_shadow=True)
    async with two.generator.shadows:
        await two.versions_of(3)
        await wait_for(lambda: len(two.inference.requests) == 6)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert (two.inference.num_closed, tried.canary_outcomes.failures) == (6, {})
    await two.version_of()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_gateway_that_ends_ends_them(two: TwoVersions) -> None:
    two.inference.scripts["2.0"] = [asyncio.Event().wait]
    app = create_app(Settings(), inference=two.inference, registry=ModelRegistry(two.management, None))
    asked = {"model": "tiny", "version": "2.0", "percent": 100}
    asked |= {"is_sticky": False, "is_shadow": True, "max_slowdown": None}
    asked |= {"margin": 0.02, "min_requests": 100, "alpha": 0.05}
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as gateway,
        httpx.AsyncClient(transport=httpx.ASGITransport(app.state.control), base_url="http://control") as control,
        app.router.lifespan_context(app),
    ):
        assert (await control.put("/canaries", json=asked)).status_code == 200
        assert (await gateway.post("/generate", json={"prompt": "Once"})).json()["model_version"] == "1.0"
        await wait_for(lambda: len(two.inference.requests) == 2)
    assert asyncio.all_tasks() == {asyncio.current_task()}
