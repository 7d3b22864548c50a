"""Sliding windows shorter than the context: what a token looks at."""

import random

import pytest
import torch
from transformers import PreTrainedModel

from handlers import attention_masks
from handlers.attention_masks import AttentionMasks, attention_windows
from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.engine import Engine
from handlers.forward_pass import PackedForwardPass
from handlers.sampling import SamplingParameters
from handlers.self_check import TIGHT_TOLERANCE, check_engine, check_engine_beyond_windows
from handlers.slot_cache import UnsupportedModelError
from tests.handlers.engine_answers import add, generate, run
from tests.handlers.uncompiled_steps import UncompiledSteps
from tests.handlers.windowed_models import CONTEXT_LENGTH, FAMILIES, LONG_WINDOW, VOCABULARY, WINDOW, make_model

GREEDY = SamplingParameters()
# By the length of the prompt, how many tokens are asked for: some stay within the window, some leave it, some begin
# beyond it. Most prompts take several pieces.
REQUESTS = {3: 4, 1: 12, 30: 6, WINDOW: 5, 20: 10}
SEPARATE = {"gemma2", "gpt_oss"}


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(family: str) -> PreTrainedModel:
    return make_model(family)


@pytest.fixture(scope="module")
def own_answers(model: PreTrainedModel) -> dict[str, list[int]]:
    return own_answers_of(model)


def own_answers_of(model: PreTrainedModel) -> dict[str, list[int]]:
    return {str(length): generate(model, prompt(length), count) for length, count in REQUESTS.items()}


def prompt(length: int) -> list[int]:
    numbers = random.Random(length)
    return [numbers.randrange(VOCABULARY) for _ in range(length)]


def make_engine(model: PreTrainedModel) -> Engine:
    return Engine(model, (), slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=7, prefix_slots=2)


def answers(engine: Engine) -> dict[str, list[int]]:
    """Of all requests, which begin one after another."""
    tokens: dict[str, list[int]] = {}
    for number, (length, count) in enumerate(REQUESTS.items()):
        engine.submit(str(length), prompt(length), count, GREEDY)
        for _ in range(number % 3):
            add(tokens, engine.step())
    for name, rest in run(engine).items():
        tokens.setdefault(name, []).extend(rest)
    return tokens


def test_greedy_answers_in_company_are_what_generate_gives(
    model: PreTrainedModel, own_answers: dict[str, list[int]]
) -> None:
    assert answers(make_engine(model)) == own_answers


def test_greedy_answer_alone_is_what_generate_gives(model: PreTrainedModel, own_answers: dict[str, list[int]]) -> None:
    engine = make_engine(model)
    for length, count in REQUESTS.items():
        engine.submit(str(length), prompt(length), count, GREEDY)

        assert run(engine) == {str(length): own_answers[str(length)]}


def test_pieces_and_rows_share_a_pass_where_the_attention_can_be_exchanged(family: str, model: PreTrainedModel) -> None:
    assert isinstance(make_engine(model).forward_pass, PackedForwardPass) == (family not in SEPARATE)


def test_the_window_matters(family: str, own_answers: dict[str, list[int]]) -> None:
    without = make_model(family, CONTEXT_LENGTH)

    assert generate(without, prompt(30), REQUESTS[30]) != own_answers["30"]


def test_the_self_check_takes_windows_longer_than_its_prompts_and_leaves_nothing(family: str) -> None:
    model = make_model(family, LONG_WINDOW)
    engine = make_engine(model)
    check_engine(engine, model, tolerance=TIGHT_TOLERANCE)
    # With prompts that begin as those before: what shorter windows made of them is not reused.
    check_engine_beyond_windows(engine, model, tolerance=TIGHT_TOLERANCE)

    assert max(filter(None, engine.forward_pass.masks.windows)) == LONG_WINDOW
    assert model.config.sliding_window == LONG_WINDOW


@pytest.mark.parametrize("window", [WINDOW, LONG_WINDOW])
@pytest.mark.parametrize("by", [1, -1], ids=["one token more", "one token less"])
@pytest.mark.parametrize("check", [check_engine, check_engine_beyond_windows])
@pytest.mark.parametrize("family", ["mistral", "gemma3", "gpt_oss"])
def test_a_window_that_is_wrong_by_one_token_fails_the_self_check(
    family: str, check: type[check_engine], by: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = attention_masks._is_hidden
    monkeypatch.setattr(attention_masks, "_is_hidden", lambda before, window: own(before, window and window + by))
    model = make_model(family, window)

    with pytest.raises(UnsupportedModelError, match="its logits differ from the model's own"):
        check(make_engine(model), model)


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_a_step_as_one_graph_has_the_masks_of_its_layers(family: str) -> None:
    model = make_model(family)
    steps = UncompiledSteps(model, CONTEXT_LENGTH)
    engine = Engine(model, (), slots=4, context_length=CONTEXT_LENGTH, prefill_tokens=7, compiled_steps=steps)

    assert isinstance(engine.forward_pass, CompiledForwardPass)
    assert answers(engine) == {
        str(length): generate(model, prompt(length), count) for length, count in REQUESTS.items()
    }
    assert {masks for _, masks in steps.calls} == {1 if family == "mistral" else 2}
    assert max(tokens for tokens, _ in steps.calls) > 1


def test_shorter_windows_are_as_many_masks() -> None:
    masks = AttentionMasks({"full_attention": None, "sliding_attention": 512, "other": 1024}).shortened(24)

    assert masks.windows == [None, 24, 24]
    assert list(masks.by_layer_type(masks.numbers())) == ["full_attention", "sliding_attention", "other"]


def test_layers_whose_windows_are_no_shorter_than_the_context_have_one_mask() -> None:
    config = FAMILIES["gemma3"](CONTEXT_LENGTH)

    assert attention_windows(config, CONTEXT_LENGTH) == {"sliding_attention": None, "full_attention": None}
    assert AttentionMasks.of(config, CONTEXT_LENGTH).windows == [None]


def test_a_token_looks_at_itself_and_at_those_before_it_within_the_window() -> None:
    masks = AttentionMasks({"full_attention": None, "sliding_attention": 3})
    seen = masks.looking_from(torch.tensor([[1, 4]]), torch.arange(6), torch.float32) == 0

    assert seen[0].int().tolist() == [
        [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]],
        [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0]],
    ]
