"""A worker that is told the tokens of an answer goes on with it as the worker would have that began it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapter.call import Call
from adapter.event_stream import EventDecoder
from adapter.generation.answer_so_far import AnswerSoFar
from adapter.schema import (
    WORKER_EVENT,
    DeltaEvent,
    DoneEvent,
    ErrorCode,
    ErrorEvent,
    StreamEvent,
    TokenLogprob,
    WorkerDelta,
)
from tests.handlers.fake_frontend import Client, FakeFrontend

MODELS = Path(__file__).parents[2] / "models"
TOOL = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 5}, "is_cold": {"type": "boolean"}},
        "required": ["city", "is_cold"],
        "additionalProperties": False,
    },
}
PROMPT = "Once upon a time"
SEEDED = {"seed": 11, "temperature": 1.2, "max_length": 40}


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeFrontend]:
    directory = tmp_path_factory.mktemp("worker")
    (directory / "model").symlink_to(MODELS / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        # As many deltas as can be, however fast this machine is.
        patch.setattr("handlers.answer_text._READ_INTERVAL", 0.0)
        patch.setattr("handlers.answer_text._SHARE", 0.0)
        frontend = FakeFrontend(directory)
        yield frontend
        frontend.close()


def told(client: Client) -> list[StreamEvent]:
    """With what a worker tells the gateway alone."""
    return list(EventDecoder(WORKER_EVENT).feed(b"".join(client.chunks)))


def ask(frontend: FakeFrontend, **request: Any) -> list[StreamEvent]:
    client = frontend.send(**{"id": "request", "prompt": PROMPT, **request})
    frontend.run()
    return told(client)


def some_of(cuts: Sequence[int]) -> list[int]:
    return sorted({cuts[0], cuts[len(cuts) // 2], cuts[-1]})


def joined(deltas: Sequence[DeltaEvent]) -> tuple[str, list[object], list[object]]:
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    arguments = "".join(call.arguments for call in calls)
    logprobs = [token for delta in deltas for token in delta.logprobs or ()]
    return (
        "".join(delta.text for delta in deltas),
        [[call.id for call in calls if call.id], arguments],
        rounded(logprobs),
    )


def rounded(logprobs: Iterable[TokenLogprob]) -> list[object]:
    return [(each.id, each.token, pytest.approx(each.logprob, abs=1e-3), len(each.top)) for each in logprobs]


def timeless(done: StreamEvent) -> tuple[dict[str, Any], list[object]]:
    assert isinstance(done, DoneEvent)
    unlike = {"id", "generation_time", "time_to_first_token", "queue_time", "logprobs", "prompt_logprobs"}
    return done.response.model_dump(exclude=unlike), rounded(done.response.logprobs or ())


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"temperature": 0, "max_length": 40}, id="greedy"),
        pytest.param(SEEDED, id="of a seed"),
        pytest.param(SEEDED | {"top_p": 0.9, "top_k": 50, "min_p": 0.01}, id="filtered"),
        pytest.param(SEEDED | {"repetition_penalty": 1.5}, id="with what was seen penalised"),
        pytest.param(SEEDED | {"frequency_penalty": 1.0, "presence_penalty": 0.7}, id="with its own words penalised"),
        pytest.param(SEEDED | {"min_length": 40, "logit_bias": {"0": 8.0}}, id="that may not end before"),
        pytest.param(SEEDED | {"max_length": 120, "stop": ["the"]}, id="up to a stop string"),
        pytest.param(SEEDED | {"max_length": 120, "stop": [" t"], "logprobs": 2}, id="with both"),
        pytest.param(SEEDED | {"logprobs": 3, "prompt_logprobs": 1}, id="with logprobs"),
        pytest.param(SEEDED | {"output": {"regex": "[a-z]{1,5}( [a-z]{1,5}){9}"}}, id="of a form"),
        pytest.param(
            SEEDED
            | {"messages": [{"role": "user", "content": "Rome?"}], "tools": [TOOL], "tool_choice": "required"}
            | {"max_length": 200},
            id="of calls",
        ),
        pytest.param(SEEDED | {"messages": [{"role": "user", "content": "Rome?"}]}, id="in a chat"),
    ],
)
def test_an_answer_that_goes_on_is_the_undisturbed_one(frontend: FakeFrontend, request_: dict[str, Any]) -> None:
    start, *deltas, done = undisturbed = ask(frontend, **request_)
    cuts = [index + 1 for index, delta in enumerate(deltas) if isinstance(delta, WorkerDelta) and delta.ids is not None]
    assert len(cuts) > 2

    begun: list[tuple[AnswerSoFar, list[StreamEvent], Client]] = []
    for cut in some_of(cuts):
        answer = AnswerSoFar(Call("request", time.monotonic()))
        before = answer.take(undisturbed[: 1 + cut])
        answer.go_on()
        other = {"id": "of another connection", "answer_ids": answer.call.answer_ids}
        begun.append((answer, before, frontend.send(**{"prompt": PROMPT, **request_, **other})))
    frontend.run()

    for answer, before, client in begun:
        rest = answer.take(told(client))
        assert before[0] == start
        assert joined([*before[1:], *rest[:-1]]) == joined(deltas)
        assert timeless(rest[-1]) == timeless(done)
        assert [delta.index for delta in [*before[1:], *rest[:-1]]] == list(range(len(before) - 1 + len(rest) - 1))


def test_an_answer_goes_on_beside_others(frontend: FakeFrontend) -> None:
    [_, *deltas, done] = ask(frontend, **SEEDED)
    ids = [token for delta in deltas[:5] for token in delta.ids or ()]
    others = [frontend.send(prompt=prompt, max_length=60) for prompt in ("A", "The fox", "Mia")]
    client = frontend.send(id="request", prompt=PROMPT, **SEEDED, answer_ids=ids)
    frontend.run()

    assert timeless(told(client)[-1]) == timeless(done)
    assert all(isinstance(other.events[-1], DoneEvent) for other in others)


def test_the_last_delta_is_nothing_to_go_on_behind(frontend: FakeFrontend) -> None:
    _, *deltas, _ = ask(frontend, **SEEDED)

    assert isinstance(deltas[-1], WorkerDelta)
    assert deltas[-1].ids is None


def test_callers_are_not_told_the_tokens(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once", **SEEDED)
    frontend.run()

    assert all(type(event) is DeltaEvent for event in client.events[1:-1])


@pytest.mark.parametrize(
    "answer_ids",
    [
        pytest.param([10**6], id="a token that the model does not have"),
        pytest.param([-1], id="none at all"),
        pytest.param([5] * 40, id="as many as there may be"),
    ],
)
def test_an_answer_that_this_model_cannot_have_written_is_refused(
    frontend: FakeFrontend, answer_ids: list[int]
) -> None:
    last = ask(frontend, **SEEDED, answer_ids=answer_ids)[-1]

    assert isinstance(last, ErrorEvent)
    assert last.problem.code == ErrorCode.INVALID_REQUEST


def test_an_answer_that_fills_the_context_is_refused(frontend: FakeFrontend) -> None:
    last = ask(frontend, max_length=30_000, answer_ids=[5] * 4_096)[-1]

    assert isinstance(last, ErrorEvent)
    assert last.problem.code == ErrorCode.INVALID_REQUEST
