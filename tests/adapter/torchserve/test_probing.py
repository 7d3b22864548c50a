"""A version is the packed one only if it gives the recorded answers, one by one, through TorchServe."""

import asyncio
import re
from typing import Any

import pytest

from adapter.errors import GenerationFailed, WorkerDied
from adapter.probes import Probe, Probes
from adapter.schema import ErrorCode, ErrorEvent, Problem
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.probing import ProbeMismatch, probe, warm_up
from tests.example_probes import PROBES, make_probe
from tests.fakes import FakeInference, FakeTorchServe, Turn, answer_to


async def test_the_recorded_answers_pass_and_are_reported(inference: InferenceClient) -> None:
    reported: list[Probe] = []
    await probe(inference, "tiny", "2.0", PROBES, reported.append)

    assert reported == list(PROBES.probes)


async def test_each_is_asked_of_the_very_version_greedily_and_for_no_more_tokens(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    await probe(inference, "tiny", "2.0", PROBES)

    assert [turn.http.path for turn in torchserve.turns] == ["/predictions/tiny/2.0"] * 2
    for turn, recorded in zip(torchserve.turns, PROBES.probes, strict=True):
        request = turn.request
        assert (request.prompt, request.temperature, request.max_length) == (recorded.prompt, 0, 2)
        assert (request.stop, request.messages) == ((), None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"answer": "Hello moon"}, "text: expected 'Hello moon', got 'Hello world'", id="a word"),
        pytest.param({"answer": "Hello"}, "text: expected 'Hello', got 'Hello world'", id="less"),
        pytest.param(
            {"answer": "Hello world "}, "text: expected ...'ello world ', got ...'ello world'", id="a space more"
        ),
        pytest.param(
            {"answer_tokens": (8, 9, 10), "log_probabilities": (0,) * 5},
            "tokens of the answer: expected 3, got 2",
            id="other tokens for the same text",
        ),
        pytest.param({"finish_reason": "length"}, "end: expected length, got stop", id="another end"),
        pytest.param(
            {"prompt_tokens": (5, 6), "log_probabilities": (0,) * 3},
            "tokens of the prompt: expected 2, got 3",
            id="another tokenizer",
        ),
    ],
)
async def test_another_answer_is_refused(changes: dict[str, Any], reason: str) -> None:
    reported: list[Probe] = []
    probes = Probes(probes=(make_probe(), make_probe(prompt="Twice\x1b", **changes)))

    with pytest.raises(ProbeMismatch, match=rf"^'Twice\\x1b' is not answered as .* packed: {re.escape(reason)}$"):
        await probe(FakeInference(), "tiny", "1.0", probes, reported.append)

    assert reported == [make_probe()]


async def test_long_answers_are_shown_where_they_part(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "a" * 500, "\x1b" + "b" * 500))

    torchserve.play = play
    recorded = make_probe(answer="a" * 500 + "c" * 500)

    with pytest.raises(ProbeMismatch) as mismatch:
        await probe(inference, "tiny", "1.0", Probes(probes=(recorded,)))

    expected, got = "'" + "a" * 10 + "c" * 30 + "'", "'" + "a" * 10 + r"\x1b" + "b" * 29 + "'"
    assert str(mismatch.value).endswith(f"expected ...{expected}..., got ...{got}...")


async def test_where_no_token_was_clear_any_answer_to_the_prompt_will_do() -> None:
    recorded = make_probe(answer="", answer_tokens=(), finish_reason="length", log_probabilities=(-10, -20))
    inference = FakeInference()
    await probe(inference, "tiny", "1.0", Probes(probes=(recorded,)))

    assert inference.requests[0].max_length == 1


async def test_a_failure_is_no_verdict_on_the_answer(inference: InferenceClient, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        turn.reset()

    torchserve.play = play
    with pytest.raises(WorkerDied):
        await probe(inference, "tiny", "1.0", PROBES)


async def test_warming_up_asks_for_short_and_long_some_at_once(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    all_others_are_here = asyncio.Event()

    async def play(turn: Turn) -> None:
        start, *others = answer_to(turn.request, "Hello")
        await turn.send(start)
        if len(torchserve.turns) == 6:
            all_others_are_here.set()
        if len(torchserve.turns) > 1:
            await asyncio.wait_for(all_others_are_here.wait(), 30)
        await turn.send(*others)

    torchserve.play = play
    await warm_up(inference, "tiny", "2.0", PROBES)

    assert {turn.http.path for turn in torchserve.turns} == {"/predictions/tiny/2.0"}
    assert len({len(turn.request.prompt) for turn in torchserve.turns}) == 3
    assert {turn.request.temperature for turn in torchserve.turns} == {0, 1}


async def test_warming_up_minds_no_context_that_is_short(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        if len(turn.request.prompt) > 100:
            problem = Problem.of(ErrorCode.PROMPT_TOO_LONG, "The prompt of 100 tokens exceeds the context window.")
            await turn.send(answer_to(turn.request)[0], ErrorEvent(problem=problem))
        else:
            await turn.send(*answer_to(turn.request, "Hello"))

    torchserve.play = play
    await warm_up(inference, "tiny", "1.0", PROBES)

    assert len(torchserve.turns) == 6


@pytest.mark.parametrize("failing", [1, 4], ids=["the first", "one of several"])
async def test_warming_up_passes_failures_on(
    inference: InferenceClient, torchserve: FakeTorchServe, failing: int
) -> None:
    async def play(turn: Turn) -> None:
        if len(torchserve.turns) == failing:
            turn.fail(ErrorCode.GENERATION_FAILED)
        else:
            await turn.send(*answer_to(turn.request, "Hello"))

    torchserve.play = play
    with pytest.raises(GenerationFailed):
        await warm_up(inference, "tiny", "1.0", PROBES)


async def test_warming_up_asks_what_was_recorded_where_the_tokenizer_has_no_english(
    inference: InferenceClient, torchserve: FakeTorchServe
) -> None:
    async def play(turn: Turn) -> None:
        if turn.request.prompt.startswith("Hello"):
            problem = Problem.of(ErrorCode.INVALID_REQUEST, "The prompt has no tokens.")
            await turn.send(answer_to(turn.request)[0], ErrorEvent(problem=problem))
        else:
            await turn.send(*answer_to(turn.request, "GATTACA"))

    torchserve.play = play
    await warm_up(inference, "tiny", "1.0", PROBES)

    assert [turn.request.prompt for turn in torchserve.turns][1:].count("Twice") == 2
