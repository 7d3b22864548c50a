"""How likely the model found its tokens, by its own logits."""

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.logit_changes import LogitChanges
from handlers.logprobs import Logprobs
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import add

PROMPT = [3, 5, 7]


def logprobs_of(engine: Engine) -> tuple[dict[str, list[int]], dict[str, list[Logprobs]]]:
    tokens: dict[str, list[int]] = {}
    told: dict[str, list[Logprobs]] = {}
    while engine.has_work:
        step = engine.step()
        add(tokens, step)
        for name, each in ({} if step is None else step.logprobs).items():
            told.setdefault(name, []).append(each)
    return tokens, told


@torch.no_grad()
def expected(model: PreTrainedModel, answer: list[int]) -> torch.Tensor:
    """[tokens, vocabulary]"""
    logits = model(torch.tensor([PROMPT + answer])).logits[0]
    return logits[len(PROMPT) - 1 : -1].log_softmax(dim=-1)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_they_are_those_of_the_models_own_logits(llama: PreTrainedModel, temperature: float) -> None:
    engine = Engine(llama, (), slots=4, context_length=64)
    changes = LogitChanges(bias={11: 3.0}, presence_penalty=1.0)
    asked = SamplingParameters(temperature=temperature, seed=1, top_k=9, changes=changes, logprobs=4)
    engine.submit("asked", PROMPT, 12, asked)
    tokens, told = logprobs_of(engine)

    model = expected(llama, tokens["asked"])
    top, ids = model.topk(4)
    assert [each.top_ids for each in told["asked"]] == [tuple(row) for row in ids.tolist()]
    for each, values, token, row in zip(told["asked"], top, tokens["asked"], model, strict=True):
        torch.testing.assert_close(torch.tensor(each.top), values, rtol=0, atol=1e-4)
        torch.testing.assert_close(torch.tensor(each.taken), row[token], rtol=0, atol=1e-4)


def test_only_rows_that_ask_have_them_and_each_as_many_as_it_asks_for(llama: PreTrainedModel) -> None:
    engine = Engine(llama, (), slots=4, context_length=64)
    for name, count in (("none", None), ("taken", 0), ("one", 1), ("five", 5)):
        engine.submit(name, PROMPT, 6, SamplingParameters(logprobs=count))
    tokens, told = logprobs_of(engine)

    assert {name: {len(each.top) for each in of} for name, of in told.items()} == {
        "taken": {0},
        "one": {1},
        "five": {5},
    }
    assert all(len(of) == len(tokens[name]) for name, of in told.items())
    assert told["one"] == [each._replace(top_ids=each.top_ids[:1], top=each.top[:1]) for each in told["five"]]


def test_what_is_impossible_has_a_number(llama: PreTrainedModel) -> None:
    engine = Engine(llama, (), slots=4, context_length=64)
    own = engine.forward_pass

    def impossible(*arguments: object) -> torch.Tensor | None:
        logits = own(*arguments)  # type: ignore[arg-type]
        if logits is not None:
            logits[:, 2:] = float("-inf")
        return logits

    engine.forward_pass = impossible
    engine.submit("asked", PROMPT, 1, SamplingParameters(logprobs=3))
    _, told = logprobs_of(engine)

    assert told["asked"][0].top[2] == -9_999.0
