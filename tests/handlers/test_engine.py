"""The engine against transformers' own generate, and what happens to its rows."""

import random
from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import VOCABULARY, make_model
from tests.handlers.engine_answers import add, generate, run

CONTEXT_LENGTH = 128
GREEDY = SamplingParameters()


def make_engine(
    model: PreTrainedModel, *, slots: int = 16, stop: Sequence[int] = (), prefill_tokens: int = 16
) -> Engine:
    return Engine(model, stop, slots=slots, context_length=CONTEXT_LENGTH, prefill_tokens=prefill_tokens)


def random_requests(model: PreTrainedModel, count: int) -> list[tuple[list[int], int]]:
    generator = random.Random(count)
    vocabulary = model.config.vocab_size
    return [
        ([generator.randrange(vocabulary) for _ in range(generator.randint(1, 80))], generator.randint(1, 40))
        for _ in range(count)
    ]


def test_greedy_answer_of_one_request_is_what_generate_gives(any_model: PreTrainedModel) -> None:
    for prompt, max_new_tokens in random_requests(any_model, 4):
        engine = make_engine(any_model)
        engine.submit("a", prompt, max_new_tokens, GREEDY)

        assert run(engine) == {"a": generate(any_model, prompt, max_new_tokens)}


def test_greedy_answers_of_16_requests_that_start_at_different_times_are_what_generate_gives(
    any_model: PreTrainedModel,
) -> None:
    requests = random_requests(any_model, 16)
    engine = make_engine(any_model)
    answers: dict[str, list[int]] = {}
    most_at_once = 0
    for index, (prompt, max_new_tokens) in enumerate(requests):
        engine.submit(str(index), prompt, max_new_tokens, GREEDY)
        for _ in range(index % 3):
            step = engine.step()
            most_at_once = max(most_at_once, len(step.ids) if step else 0)
            add(answers, step)
    for request_id, tokens in run(engine).items():
        answers.setdefault(request_id, []).extend(tokens)

    assert most_at_once > 3
    assert answers == {
        str(index): generate(any_model, prompt, max_new_tokens)
        for index, (prompt, max_new_tokens) in enumerate(requests)
    }


def test_more_requests_than_slots_wait_and_get_the_same_answers(llama: PreTrainedModel) -> None:
    requests = random_requests(llama, 7)
    engine = make_engine(llama, slots=2)
    for index, (prompt, max_new_tokens) in enumerate(requests):
        engine.submit(str(index), prompt, max_new_tokens, GREEDY)

    assert run(engine) == {
        str(index): generate(llama, prompt, max_new_tokens) for index, (prompt, max_new_tokens) in enumerate(requests)
    }


def test_cancelled_request_gets_no_token_and_changes_no_other(llama: PreTrainedModel) -> None:
    requests = random_requests(llama, 6)
    alone = {str(index): generate(llama, prompt, count) for index, (prompt, count) in enumerate(requests)}
    for cancelled in range(6):
        engine = make_engine(llama, slots=4)
        answers: dict[str, list[int]] = {}
        for index, (prompt, max_new_tokens) in enumerate(requests):
            engine.submit(str(index), prompt, max_new_tokens, GREEDY)
        for _ in range(3):
            add(answers, engine.step())
        before = len(answers.get(str(cancelled), []))
        engine.cancel(str(cancelled))
        for request_id, tokens in run(engine).items():
            answers.setdefault(request_id, []).extend(tokens)

        assert len(answers.pop(str(cancelled), [])) == before
        assert answers == {name: answer for name, answer in alone.items() if name != str(cancelled)}


def test_stop_token_ends_a_request_with_reason_stop(llama: PreTrainedModel) -> None:
    prompt = [5, 6, 7]
    tokens = generate(llama, prompt, 10)
    stop = tokens[4]
    engine = make_engine(llama, stop=[stop])
    engine.submit("a", prompt, 10, GREEDY)
    steps = [step for step in iter(engine.step, None) if step.ids]

    assert [step.tokens[0] for step in steps] == tokens[: tokens.index(stop) + 1]
    assert steps[-1].ended == {"a": "stop"}


def test_answer_ends_with_reason_length_when_the_context_is_full(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    engine.submit("a", [1] * (CONTEXT_LENGTH - 3), 50, GREEDY)
    steps = []
    while engine.has_work:
        if step := engine.step():
            steps.append(step)

    assert len(steps) == 3
    assert steps[-1].ended == {"a": "length"}


@pytest.mark.parametrize("length", [0, CONTEXT_LENGTH], ids=["empty", "as long as the context"])
def test_refuses_a_prompt_that_leaves_no_room(llama: PreTrainedModel, length: int) -> None:
    with pytest.raises(ValueError, match="a prompt has 1 to 127 tokens"):
        make_engine(llama).submit("a", [1] * length, 1, GREEDY)


@pytest.mark.parametrize("token", [-1, 199], ids=["below the vocabulary", "above it"])
def test_refuses_a_token_that_the_model_does_not_have_and_goes_on(llama: PreTrainedModel, token: int) -> None:
    engine = make_engine(llama)
    engine.submit("running", [1, 2, 3], 5, GREEDY)
    engine.step()
    with pytest.raises(ValueError, match="the model has tokens 0 to 198"):
        engine.submit("bad", [1, token, 3], 5, GREEDY)

    assert run(engine)["running"] == generate(llama, [1, 2, 3], 5)[1:]


def test_a_token_without_an_embedding_is_never_given(llama: PreTrainedModel) -> None:
    """An output layer that is larger than the embedding has logits of which no answer could go on."""
    model = make_model("llama")
    model.lm_head = torch.nn.Linear(64, VOCABULARY + 9, bias=False)
    model.lm_head.weight.data[:VOCABULARY] = llama.lm_head.weight.data
    model.lm_head.weight.data[VOCABULARY:] = 10 * llama.lm_head.weight.data[:9]
    engine = make_engine(model)
    engine.submit("a", [1, 2, 3], 20, GREEDY)

    assert run(engine) == {"a": generate(llama, [1, 2, 3], 20)}


def test_running_request_goes_on_while_a_long_prompt_is_processed(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefill_tokens=16)
    engine.submit("running", [1, 2, 3], 60, GREEDY)
    engine.step()
    engine.submit("long prompt", [4] * 100, 1, GREEDY)
    alone = 0
    while (step := engine.step()) is not None and step.ids == ("running",):
        alone += 1

    assert alone == 99 // 16  # one decode step after each full piece of the prompt


def test_seeded_answer_is_the_same_whatever_shares_the_batch(llama: PreTrainedModel) -> None:
    seeded = SamplingParameters(temperature=0.9, top_p=0.95, seed=11)
    alone = make_engine(llama)
    alone.submit("seeded", [1, 2, 3], 30, seeded)
    shared = make_engine(llama)
    for index, (prompt, max_new_tokens) in enumerate(random_requests(llama, 5)):
        shared.submit(str(index), prompt, max_new_tokens, SamplingParameters(temperature=1.0, repetition_penalty=1.3))
        shared.step()
    shared.submit("seeded", [1, 2, 3], 30, seeded)
    shared.submit("other", [9], 30, SamplingParameters(temperature=0.9, top_k=5, seed=12))

    assert run(alone)["seeded"] == run(shared)["seeded"]


def test_repetition_penalty_gives_what_generate_gives(llama: PreTrainedModel) -> None:
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    engine = make_engine(llama)
    engine.submit("other", [8, 8], 30, GREEDY)
    engine.step()
    engine.submit("a", prompt, 30, SamplingParameters(repetition_penalty=1.5))
    ids = torch.tensor([prompt])
    expected = llama.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=30, repetition_penalty=1.5
    )

    assert run(engine)["a"] == expected[0, len(prompt) :].tolist()
