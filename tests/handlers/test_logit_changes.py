"""What a request does to its own logits, beside rows that do nothing to theirs."""

import pytest
import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.logit_changes import AnswerLogits, LogitChanges, RowLogits
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import generate, run

PROMPT = [3, 5, 3]
STOP = torch.tensor([7, 9])


def changed(changes: LogitChanges, answer: list[int]) -> list[float]:
    """What ten logits of 0 become behind this answer."""
    logits, tokens = AnswerLogits(changes, len(PROMPT), STOP), torch.tensor(PROMPT + answer + [8] * 10)
    for _ in range(len(answer) + 1):
        row = torch.zeros(10)
        logits.change(row, tokens)
    return row.tolist()


def test_a_frequency_penalty_counts_what_is_in_the_answer_and_not_in_the_prompt() -> None:
    assert changed(LogitChanges(frequency_penalty=0.5), [1, 2, 1]) == [0, -1, -0.5, 0, 0, 0, 0, 0, 0, 0]


def test_a_presence_penalty_asks_only_whether_it_is_there() -> None:
    assert changed(LogitChanges(presence_penalty=0.5), [1, 2, 1]) == [0, -0.5, -0.5, 0, 0, 0, 0, 0, 0, 0]


def test_both_add_up_and_may_favour_what_was_said() -> None:
    changes = LogitChanges(frequency_penalty=-0.5, presence_penalty=-1)
    assert changed(changes, [1, 1]) == [0, 2, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_bias_is_added() -> None:
    assert changed(LogitChanges(bias={0: 1.5, 4: -100}), []) == [1.5, 0, 0, 0, -100, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("answer", "may_end"), [([], False), ([1], False), ([1, 1], True)])
def test_the_end_waits_for_the_fewest_tokens(answer: list[int], *, may_end: bool) -> None:
    row = changed(LogitChanges(min_tokens=2), answer)
    assert {row[7], row[9]} == {0.0 if may_end else float("-inf")}


def test_an_end_that_is_passed_over_never_comes() -> None:
    assert changed(LogitChanges(ignore_eos=True), [1] * 5)[7] == float("-inf")


def test_rows_that_change_nothing_stay_as_they_are() -> None:
    logits, tokens = torch.zeros(3, 10), torch.zeros(3, 10, dtype=torch.long)
    RowLogits([None, AnswerLogits(LogitChanges(bias={1: 2.0}), 1, STOP), None]).change(logits, tokens)

    assert logits.nonzero().tolist() == [[1, 1]]


@pytest.mark.parametrize("others", [0, 3])
def test_a_favoured_token_is_all_that_is_said(llama: PreTrainedModel, others: int) -> None:
    engine = Engine(llama, (), slots=4, context_length=64)
    for number in range(others):
        engine.submit(str(number), [number + 1, 4], 10 + number, SamplingParameters())
    favoured = SamplingParameters(changes=LogitChanges(bias={11: 1_000.0}))
    engine.submit("favoured", PROMPT, 12, favoured)
    answers = run(engine)

    assert answers.pop("favoured") == [11] * 12
    assert answers == {str(number): generate(llama, [number + 1, 4], 10 + number) for number in range(others)}


def test_an_answer_that_ignores_its_end_has_all_its_tokens(llama: PreTrainedModel) -> None:
    [first, *_] = generate(llama, PROMPT, 1)
    engine = Engine(llama, [first], slots=4, context_length=64)
    engine.submit("ends", PROMPT, 9, SamplingParameters())
    engine.submit("goes on", PROMPT, 9, SamplingParameters(changes=LogitChanges(ignore_eos=True)))
    engine.submit("goes on for a while", PROMPT, 9, SamplingParameters(changes=LogitChanges(min_tokens=4)))
    answers = run(engine)

    assert len(answers["ends"]) == 1
    assert len(answers["goes on"]) == 9
    assert len(answers["goes on for a while"]) > 4
    assert first not in answers["goes on"]
