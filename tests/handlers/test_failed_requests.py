"""Numbers that are not finite: the request that has them ends, and nobody else meets them, beside it or after it."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.engine_news import Step
from handlers.forward_pass import Piece
from handlers.row_groups import RowGroup
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import make_model
from tests.handlers.engine_answers import counted, generate, run

CONTEXT_LENGTH = 128
GREEDY = SamplingParameters()
BAD_TOKEN = 150
BAD_PROMPT = [*range(40), BAD_TOKEN, *range(40)]
GOOD_PROMPTS = {"short": [3, 1, 4, 1, 5], "long": [(7 * position) % 90 for position in range(100)]}


@pytest.fixture(scope="module", params=["llama", "gptj"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """With one token whose embedding is not finite, as an overflow leaves it; no answer below has it."""
    model = make_model(request.param)
    model.get_input_embeddings().weight.data[BAD_TOKEN] = float("nan")
    return model


def make_engine(model: PreTrainedModel, *, slots: int = 4, prefix_slots: int = 0) -> Engine:
    return Engine(model, (), slots=slots, context_length=CONTEXT_LENGTH, prefill_tokens=16, prefix_slots=prefix_slots)


def steps_of(engine: Engine) -> list[Step]:
    steps = []
    while engine.has_work:
        if (step := engine.step()) is not None:
            steps.append(step)
    return steps


def ends(steps: Sequence[Step]) -> dict[str, str]:
    return {request_id: reason for step in steps for request_id, reason in step.ended.items()}


def answer(steps: Sequence[Step], request_id: str) -> list[int]:
    return [step.tokens[step.ids.index(request_id)] for step in steps if request_id in step.ids]


def good_answers(model: PreTrainedModel) -> dict[str, list[int]]:
    answers = {name: generate(model, prompt, 20) for name, prompt in GOOD_PROMPTS.items()}
    assert not any(BAD_TOKEN in tokens for tokens in answers.values())
    return answers


def test_a_request_with_numbers_that_are_not_finite_fails_alone(model: PreTrainedModel) -> None:
    engine = make_engine(model)
    for name in ("short", "bad", "long"):
        engine.submit(name, GOOD_PROMPTS.get(name, BAD_PROMPT), 20, GREEDY)
    steps = steps_of(engine)

    assert ends(steps) == {"short": "length", "bad": "failed", "long": "length"}
    assert len(answer(steps, "bad")) == 1
    assert {name: answer(steps, name) for name in GOOD_PROMPTS} == good_answers(model)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["failed", "cancelled in its prompt"])
def test_whoever_comes_into_its_slot_gets_their_own_answer(model: PreTrainedModel, is_cancelled: bool) -> None:
    engine = make_engine(model, slots=2)
    engine.submit("long", GOOD_PROMPTS["long"], 20, GREEDY)
    while (step := engine.step()) is None:
        pass
    engine.submit("bad", BAD_PROMPT, 20, GREEDY)
    while not any(states.isnan().any() for states in engine._rows.cache.states):
        step = engine.step()
    if is_cancelled:
        assert step is not None
        assert "bad" not in step.ids
        engine.cancel("bad")
    # Its slot is the second one again, and is read there as far as the long one goes.
    engine.submit("short", GOOD_PROMPTS["short"], 20, GREEDY)
    steps = steps_of(engine)

    assert ends(steps).pop("bad", None) == (None if is_cancelled else "failed")
    assert answer(steps, "short") == good_answers(model)["short"]


def test_nobody_goes_on_from_what_it_has_computed(model: PreTrainedModel) -> None:
    engine = make_engine(model, prefix_slots=2)
    engine.submit("bad", BAD_PROMPT, 20, GREEDY)
    assert ends(steps_of(engine)) == {"bad": "failed"}
    prompt = BAD_PROMPT[: BAD_PROMPT.index(BAD_TOKEN)]
    with counted(model) as lengths:
        engine.submit("good", prompt, 5, GREEDY)
        answers = run(engine)

    assert answers == {"good": generate(model, prompt, 5)}
    assert sum(lengths) == len(prompt) + 4


@pytest.mark.parametrize("parameters", [GREEDY, SamplingParameters(temperature=0.7, top_p=0.9, repetition_penalty=1.2)])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda logits: logits.fill_(float("nan")), "failed"),
        (lambda logits: logits[-1:].fill_(float("nan")), "failed"),
        (lambda logits: logits[:1].fill_(float("inf")), "failed"),
        (lambda logits: logits.fill_(float("-inf")), "failed"),
        (lambda logits: logits[1:].fill_(float("-inf")), "length"),
    ],
    ids=["all NaN", "one NaN", "one infinite", "none possible", "one possible"],
)
def test_logits_that_give_no_distribution_end_their_request(
    llama: PreTrainedModel, spoil: Callable[[Tensor], None], reason: str, parameters: SamplingParameters
) -> None:
    engine = make_engine(llama)
    own_pass = engine.forward_pass

    def spoiled(pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        logits = own_pass(pieces, lengths, groups)
        assert logits is not None
        if len(logits) == 3:
            spoil(logits[1])
        return logits

    for name in ("first", "spoiled", "last"):
        engine.submit(name, [2], 4, GREEDY if name != "spoiled" else parameters)
    engine.forward_pass = spoiled
    steps = steps_of(engine)

    assert ends(steps)["spoiled"] == reason
    assert answer(steps, "first") == answer(steps, "last") == generate(llama, [2], 4)


def test_a_failed_request_that_ends_the_batch_leaves_a_cache_of_zeros(model: PreTrainedModel) -> None:
    engine = make_engine(model)
    engine.submit("bad", BAD_PROMPT, 20, GREEDY)
    steps_of(engine)

    assert not any(states.any() for states in engine._rows.cache.states)


def test_the_tokens_of_a_failed_request_are_the_models(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    own_pass = engine.forward_pass
    engine.forward_pass = lambda *arguments: torch.full_like(own_pass(*arguments), float("nan"))
    engine.submit("bad", [2], 4, SamplingParameters(temperature=1.0, seed=1))
    [step] = steps_of(engine)

    assert 0 <= step.tokens[0] < llama.config.vocab_size
