"""Rows of unlike length: what a step reads for them, and that nobody's answer depends on how they are cut into runs."""

import random
from collections.abc import Sequence

import pytest
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from handlers import packed_attention
from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.engine_answers import add, generate, run

GREEDY = SamplingParameters()
# What a run costs: only rows of one length share one, some do, and all.
NOTHING, SOMETHING, TOO_MUCH = 0.0, 15.0, 1e9


@pytest.mark.parametrize("cost", [NOTHING, SOMETHING])
def test_greedy_answers_are_those_of_generate_while_requests_come_and_go(
    any_model: PreTrainedModel, cost: float
) -> None:
    chance = random.Random(1)
    engine = Engine(any_model, (), slots=6, context_length=CONTEXT_LENGTH, prefill_tokens=16, prefix_slots=2)
    engine._group_cost = lambda: cost
    beginning = [chance.randrange(199) for _ in range(40)]
    prompts = {
        str(number): chance.choice([beginning, []]) + [chance.randrange(199) for _ in range(chance.choice([1, 5, 60]))]
        for number in range(16)
    }
    counts = {name: chance.randint(1, 25) for name in prompts}
    answers: dict[str, list[int]] = {}
    cancelled = set()
    for name, prompt in prompts.items():
        engine.submit(name, prompt, counts[name], GREEDY)
        for _ in range(chance.randrange(5)):
            add(answers, engine.step())
        if chance.random() < 0.15:
            engine.cancel(name)
            cancelled.add(name)
    for name, tokens in run(engine).items():
        answers.setdefault(name, []).extend(tokens)

    for name in prompts.keys() - cancelled:
        assert answers[name] == generate(any_model, prompts[name], counts[name])


def test_seeds_and_penalties_give_the_same_however_rows_are_cut(llama: PreTrainedModel) -> None:
    def answers(cost: float) -> dict[str, list[int]]:
        engine = Engine(llama, (), slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=16)
        engine._group_cost = lambda: cost
        for number, length in enumerate([3, 90, 20, 1]):
            parameters = SamplingParameters(temperature=0.8, top_p=0.9, repetition_penalty=1.0 + 0.2 * number, seed=7)
            engine.submit(
                str(number), [(number + place) % 199 for place in range(length)], 5 * (number + 1), parameters
            )
        return run(engine)

    assert answers(TOO_MUCH) == answers(NOTHING) == answers(SOMETHING)


SHORT, LONG = 20, 3_900


@pytest.fixture
def wide_engine() -> Engine:
    """Of a model whose keys and values take so much that reading them costs something."""
    config = LlamaConfig(
        vocab_size=99,
        hidden_size=512,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=4_096,
    )
    return Engine(LlamaForCausalLM(config).eval(), (), slots=64, context_length=4_096, prefill_tokens=1_024)


def test_short_rows_beside_a_long_one_are_read_no_further_than_they_reach(
    wide_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        wide_engine.submit(f"before {number}", [number] * SHORT, 1_000, GREEDY)
    wide_engine.submit("long", [7] * LONG, 100, GREEDY)
    for number in range(33):
        wide_engine.submit(f"after {number}", [number, *[1] * (SHORT - 1)], 1_000, GREEDY)
    while (step := wide_engine.step()) is None or len(step.ids) < 64:
        pass
    read = positions_read(monkeypatch)
    wide_engine.step()
    held = int(wide_engine._rows.lengths.sum()) * len(wide_engine._rows.cache)

    assert held <= sum(read) <= 1.2 * held


def positions_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """By each attention from now on: rows x length of the keys that it looks at."""
    own = packed_attention.sdpa_attention_forward
    read = []

    def attend(module: object, query: Tensor, key: Tensor, *arguments: Tensor, **keywords: object) -> Sequence[Tensor]:
        read.append(key.shape[0] * key.shape[2])
        return own(module, query, key, *arguments, **keywords)

    monkeypatch.setattr(packed_attention, "sdpa_attention_forward", attend)
    return read
