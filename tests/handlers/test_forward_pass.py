"""How many passes through the model a step takes."""

import pytest
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import CONTEXT_LENGTH, make_model
from tests.handlers.engine_answers import counted, generate, run

GREEDY = SamplingParameters()


def tokens_of_passes(model: PreTrainedModel) -> list[int]:
    """Of a step in which two prompts meet a running request: of the second there is room for a piece only."""
    engine = Engine(model, (), slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=16)
    prompts = {"running": [1, 2, 3], "short": [4, 5, 6, 7], "long": [8] * 40}
    engine.submit("running", prompts["running"], 20, GREEDY)
    first = engine.step()
    assert first is not None
    engine.submit("short", prompts["short"], 20, GREEDY)
    engine.submit("long", prompts["long"], 20, GREEDY)
    with counted(model) as tokens:
        step = engine.step()
    assert step is not None
    assert step.ids == ("running", "short")
    answers = run(engine)
    assert first.tokens + step.tokens[:1] + answers["running"] == generate(model, prompts["running"], 20)
    assert step.tokens[1:] + answers["short"] == generate(model, prompts["short"], 20)
    assert answers["long"] == generate(model, prompts["long"], 20)
    return tokens


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_pieces_of_prompts_and_running_rows_share_one_pass(family: str) -> None:
    # 3 of the short prompt, whose last token is a running row's; 12 of the long one; and the two rows.
    assert tokens_of_passes(make_model(family)) == [3 + 12 + 2]


def test_model_with_an_attention_of_its_own_takes_a_pass_for_each() -> None:
    assert tokens_of_passes(make_model("gptj")) == [3, 12, 2]


@pytest.mark.parametrize(("family", "tokens_of_passes"), [("llama", [4]), ("gptj", [2, 1, 1])])
def test_rows_of_unlike_length_share_one_pass_where_their_pieces_do(family: str, tokens_of_passes: list[int]) -> None:
    model = make_model(family)
    engine = Engine(model, (), slots=4, context_length=CONTEXT_LENGTH)
    engine._group_cost = lambda: 10.0
    for number, length in enumerate([3, 3, 60, 3]):
        engine.submit(str(number), [number] * length, 20, GREEDY)
    engine.step()
    with counted(model) as tokens:
        engine.step()

    assert tokens == tokens_of_passes


def test_model_that_an_engine_uses_gives_by_itself_what_it_gave_before(any_model: PreTrainedModel) -> None:
    prompt = list(range(20))
    before = generate(any_model, prompt, 10)
    Engine(any_model, (), slots=1, context_length=CONTEXT_LENGTH)

    assert generate(any_model, prompt, 10) == before
