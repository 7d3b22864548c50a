"""How many waiting prompts join a step: as many as its budget of prompt tokens holds."""

import pytest
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.engine_answers import generate

PREFILL_TOKENS, LENGTH = 256, 17  # 16 of them are a piece; the last one is the running row's
GREEDY = SamplingParameters()
PROMPTS = {str(number): [number, *range(LENGTH - 1)] for number in range(64)}


def make_engine(model: PreTrainedModel, prefill_tokens: int = PREFILL_TOKENS) -> Engine:
    return Engine(model, (), slots=65, context_length=CONTEXT_LENGTH, prefill_tokens=prefill_tokens)


def first_tokens(engine: Engine) -> list[dict[str, int]]:
    """By step, until all prompts have theirs."""
    steps: list[dict[str, int]] = []
    seen: set[str] = {"running"}
    while seen < {"running", *PROMPTS}:
        step = engine.step()
        assert step is not None
        steps.append({name: token for name, token in zip(step.ids, step.tokens, strict=True) if name not in seen})
        seen.update(step.ids)
    return steps


def test_64_short_prompts_at_once_have_their_first_tokens_with_the_first_step(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt, 2, GREEDY)
    [tokens] = first_tokens(engine)

    assert tokens == {name: generate(llama, prompt, 1)[0] for name, prompt in PROMPTS.items()}


def test_beside_a_running_request_they_take_the_steps_that_their_tokens_need(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    engine.submit("running", [1], 100, GREEDY)
    engine.step()
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt, 50, GREEDY)

    assert [len(tokens) for tokens in first_tokens(engine)] == [PREFILL_TOKENS // (LENGTH - 1)] * 4


@pytest.mark.parametrize(("tokens_of_a_piece", "joining"), [(1, 16), (4, 16), (8, 8), (16, 4)])
def test_however_short_they_are_no_more_join_a_step_than_its_budget_says(
    llama: PreTrainedModel, tokens_of_a_piece: int, joining: int
) -> None:
    """A piece costs something even if it is one token."""
    engine = make_engine(llama, prefill_tokens=64)
    engine.submit("running", [1], 100, GREEDY)
    engine.step()
    for name, prompt in PROMPTS.items():
        engine.submit(name, prompt[: tokens_of_a_piece + 1], 50, GREEDY)
    step = engine.step()

    assert step is not None
    assert len(step.ids) - 1 == joining
