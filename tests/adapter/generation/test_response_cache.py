import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest
from pydantic import ValidationError

from adapter.generation.response_cache import ResponseCache
from adapter.generation.response_store import MemoryStore
from adapter.schema import ChatGenerationRequest, ChatMessage, DeltaEvent, DoneEvent, TokenLogprob
from adapter.tools import ToolCall, ToolCallDelta
from tests.adapter.generation.asking import ASKED, PINNED, Asking, call, collect
from tests.adapter.generation.held_generations import ANSWER, TEXT, text_of

START, FIRST, *REST = ANSWER
RESTARTED = PINNED._replace(workers=frozenset({(12, "one")}))


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with ResponseCache(MemoryStore(2**20, max_age=60)) as cache:
        yield Asking(cache)


async def test_the_same_question_runs_once(asking: Asking) -> None:
    first, second = call("first"), call("second")
    made, found = await asking.answer(of=first), await asking.answer(of=second)
    assert (made.cached, made.id, first.cache.headers()) == (False, "first", {"cache-status": "torchbridge; fwd=miss"})
    assert (found.cached, found.id, found.text, found.queue_time) == (True, "second", TEXT, 0.0)
    assert second.cache.headers() == {"cache-status": "torchbridge; hit; ttl=60", "age": "0"}
    assert 0 <= found.time_to_first_token < 10


async def test_a_hit_is_a_whole_stream_of_this_call(asking: Asking) -> None:
    await asking.answer()
    events = await collect(asking.stream(of=call("second")))
    assert [event.type for event in events] == ["start", "delta", "done"]
    assert events[0] == START[0].model_copy(update={"id": "second"})


async def test_an_empty_answer_has_no_delta(asking: Asking) -> None:
    empty = DoneEvent(response=REST[-1][0].response.model_copy(update={"text": ""}))
    asking.source.give(START, [empty])
    await text_of(asking.stream())
    events = await collect(asking.stream())
    assert [event.type for event in events] == ["start", "done"]


async def test_a_hit_tells_of_logprobs_and_calls_too(asking: Asking) -> None:
    logprobs = (TokenLogprob(id=1, token="a", bytes=(97,), logprob=-0.5, top=()),)
    call_made = ToolCall(id="abc", name="time", arguments="{}")
    told = {"text": "", "logprobs": logprobs, "tool_calls": (call_made,)}
    asking.source.give(START, [DoneEvent(response=REST[-1][0].response.model_copy(update=told))])
    await collect(asking.stream())
    _, delta, _ = await collect(asking.stream())

    assert isinstance(delta, DeltaEvent)
    assert delta.logprobs == logprobs
    assert delta.tool_calls == (ToolCallDelta(index=0, id="abc", name="time", arguments="{}"),)


async def test_the_age_is_known_before_the_first_event(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    await asking.answer()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 12.5)
    mine = call()
    async with aclosing(asking.stream(of=mine)) as arrivals:
        await anext(arrivals)
        assert mine.cache.headers() == {"cache-status": "torchbridge; hit; ttl=48", "age": "12"}


async def test_an_answer_from_a_clock_that_is_ahead_is_new(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    await asking.answer()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 100)
    mine = call()
    await asking.answer(of=mine)
    assert mine.cache.age == 0


SEEDED = ChatGenerationRequest(**dict(ASKED) | {"seed": 0})  # at any temperature it has one answer
QUESTION = ChatGenerationRequest.model_fields.keys() - {"model", "model_version"}
# For each field of a question, one of these is valid, and another value than SEEDED has.
VALUES = (
    *("required", 2, 0.5, True, False, [1, 2], {"1": 2.0}, {"choice": ["yes", "no"]}),
    *([{"role": "user", "content": "Once"}], [{"name": "time"}]),
)


def other_question(field: str) -> ChatGenerationRequest:
    for value in VALUES:
        with suppress(ValidationError):
            sent = SEEDED.model_dump(mode="json", exclude_unset=True) | {field: value}
            asked = ChatGenerationRequest.model_validate_json(json.dumps(sent))
            if getattr(asked, field) != getattr(SEEDED, field):
                return asked
    raise LookupError(f"VALUES has no other value for the new field {field}")


@pytest.mark.parametrize("field", sorted(QUESTION))
async def test_another_question_runs(asking: Asking, field: str) -> None:
    await asking.answer(SEEDED)
    assert (await asking.answer(SEEDED)).cached
    assert not (await asking.answer(other_question(field))).cached


@pytest.mark.parametrize("other", [{"model": "other"}, {"version": "2.0"}], ids=lambda other: next(iter(other)))
async def test_another_model_or_version_runs(asking: Asking, other: dict[str, str]) -> None:
    await asking.answer()
    assert not (await asking.answer(at=PINNED._replace(**other))).cached


async def test_the_default_model_and_the_same_one_by_its_name_are_one_question(asking: Asking) -> None:
    await asking.answer()
    named = ASKED.model_copy(update={"model": PINNED.model, "model_version": PINNED.version})
    assert (await asking.answer(named)).cached


async def test_another_conversation_runs(asking: Asking) -> None:
    def chat(said: str) -> ChatGenerationRequest:
        return ChatGenerationRequest(**dict(ASKED), messages=(ChatMessage(role="user", content=said),))

    await asking.answer(chat("Hello"))
    assert (await asking.answer(chat("Hello"))).cached
    assert not (await asking.answer(chat("Bye"))).cached


async def test_another_caller_runs(asking: Asking) -> None:
    await asking.answer(of=call(caller="alice"))
    assert not (await asking.answer(of=call(caller="bob"))).cached
    assert (await asking.answer(of=call(caller="alice"))).cached


async def test_what_is_sampled_without_a_seed_always_runs(asking: Asking) -> None:
    sampled = ASKED.model_copy(update={"temperature": 0.7})
    for _ in range(2):
        mine = call()
        assert not (await asking.answer(sampled, mine)).cached
        assert mine.cache.status == "fwd=bypass"


async def test_what_is_sampled_with_a_seed_runs_once(asking: Asking) -> None:
    seeded = ASKED.model_copy(update={"temperature": 0.7, "seed": 5})
    await asking.answer(seeded)
    assert (await asking.answer(seeded)).cached


async def test_a_caller_may_refuse_the_cache(asking: Asking) -> None:
    for _ in range(2):
        refusing = call(may_use_cache=False)
        assert not (await asking.answer(of=refusing)).cached
        assert refusing.cache.status == "fwd=request"
    assert not (await asking.answer()).cached


async def test_without_a_store_everything_runs() -> None:
    async with ResponseCache() as cache:
        asking, mine = Asking(cache), call()
        await asking.answer()
        assert not (await asking.answer(of=mine)).cached
        assert mine.cache.status == "fwd=bypass"


async def test_restarted_workers_must_name_their_archive_first(asking: Asking) -> None:
    await asking.answer()
    assert not (await asking.answer(at=RESTARTED)).cached
    assert (await asking.answer(at=RESTARTED)).cached


async def test_an_answer_to_any_request_names_the_archive(asking: Asking) -> None:
    await asking.answer()
    await asking.answer(ASKED.model_copy(update={"temperature": 1.0}), at=RESTARTED)
    assert (await asking.answer(at=RESTARTED)).cached


async def test_archives_of_the_same_version_share_no_answers(asking: Asking) -> None:
    await asking.answer()
    archive = {"model_digest": "another"}
    done = REST[-1][0].response.model_copy(update=archive)
    asking.source.give([START[0].model_copy(update=archive)], FIRST, [DoneEvent(response=done)])
    assert not (await collect(asking.stream(at=RESTARTED)))[-1].response.cached
    for pinned, digest in ((PINNED, START[0].model_digest), (RESTARTED, "another")):
        found = await asking.answer(at=pinned)
        assert (found.cached, found.model_digest) == (True, digest)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff", b'{"stored_at": 1, "response": {}}'])
async def test_an_answer_that_cannot_be_read_is_none(asking: Asking, garbage: bytes) -> None:
    await asking.answer()
    answers = asking.cache._store._answers
    for key in list(answers):
        answers[key] = garbage
    assert not (await asking.answer()).cached


@pytest.mark.parametrize("field", ["model", "model_version", "model_digest"])
async def test_an_answer_that_says_it_is_of_another_model_is_none(asking: Asking, field: str) -> None:
    await asking.answer()
    answers = asking.cache._store._answers
    right = getattr(REST[-1][0].response, field).encode()
    for key, stored in list(answers.items()):
        answers[key] = stored.replace(b'"%s":"%s"' % (field.encode(), right), b'"%s":"x"' % field.encode())
    assert not (await asking.answer()).cached


async def test_an_answer_that_is_too_old_is_none(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    await asking.answer()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert not (await asking.answer()).cached
