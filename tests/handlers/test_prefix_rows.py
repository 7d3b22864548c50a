"""Requests that begin like others: what is in the cache already is not computed again, and no answer changes."""

import random

import pytest
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import add, counted, generate, run

CONTEXT_LENGTH = 128
GREEDY = SamplingParameters()
SYSTEM_PROMPT = [(7 * position + 3) % 50 for position in range(90)]
OTHER_PROMPTS = [[(position * position + start) % 50 for position in range(60)] for start in range(3, 9)]


def make_engine(
    model: PreTrainedModel, *, slots: int = 4, prefix_slots: int = 2, context_length: int = CONTEXT_LENGTH
) -> Engine:
    return Engine(model, (), slots=slots, context_length=context_length, prefill_tokens=32, prefix_slots=prefix_slots)


def add_to(talks: dict[str, list[int]], answers: dict[str, list[int]]) -> None:
    for name, tokens in answers.items():
        talks[name] += tokens


def answer(model: PreTrainedModel, engine: Engine, prompt: list[int], max_new_tokens: int = 4) -> tuple[list[int], int]:
    """The tokens, and how many tokens were computed for them."""
    with counted(model) as lengths:
        engine.submit("a", prompt, max_new_tokens, GREEDY)
        answers = run(engine)
    return answers["a"], sum(lengths)


def test_a_second_request_computes_only_what_is_its_own(any_model: PreTrainedModel) -> None:
    engine = make_engine(any_model)
    first, second = [*SYSTEM_PROMPT, 11, 12], [*SYSTEM_PROMPT, 13, 14, 15]

    assert answer(any_model, engine, first) == (generate(any_model, first, 4), len(first) + 3)
    assert answer(any_model, engine, second) == (generate(any_model, second, 4), len(second) - len(SYSTEM_PROMPT) + 3)


def test_the_beginning_that_a_chat_template_gives_each_chat_is_computed_once(llama: PreTrainedModel) -> None:
    beginning = SYSTEM_PROMPT[:24]  # as of SmolLM2-135M-Instruct
    engine = make_engine(llama)
    answer(llama, engine, [*beginning, *OTHER_PROMPTS[0]])
    prompt = [*beginning, *OTHER_PROMPTS[1]]
    assert answer(llama, engine, prompt) == (generate(llama, prompt, 4), len(OTHER_PROMPTS[1]) + 3)


def test_the_same_prompt_again_computes_its_last_token(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    answer(llama, engine, SYSTEM_PROMPT)
    assert answer(llama, engine, SYSTEM_PROMPT) == (generate(llama, SYSTEM_PROMPT, 4), 4)


def test_a_conversation_goes_on_where_it_was(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    first, _ = answer(llama, engine, SYSTEM_PROMPT, 15)
    # The answer's last token was given out and never looked at.
    known = [*SYSTEM_PROMPT, *first[:-1]]
    following = [*known, first[-1], 21, 22]
    assert answer(llama, engine, following) == (generate(llama, following, 4), 3 + 3)


def test_a_request_that_still_runs_shares_its_prompt(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefix_slots=0)
    engine.submit("running", [*SYSTEM_PROMPT, 1], 20, GREEDY)
    while engine.step() is None:
        pass
    prompt = [*SYSTEM_PROMPT, 2]
    with counted(llama) as lengths:
        engine.submit("a", prompt, 1, GREEDY)
        step = engine.step()
    assert step is not None
    assert step.tokens[1:] == generate(llama, prompt, 1)
    # Nothing was left of the prompt but its last token, which is computed beside the running request's next one.
    assert lengths == [2]


def test_requests_that_come_together_compute_their_common_beginning_once(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    prompts = {"a": [*SYSTEM_PROMPT, 1, 2], "b": [*SYSTEM_PROMPT, 3, 4], "c": [*SYSTEM_PROMPT, 5, 6]}
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 1, GREEDY)
    passes = 0
    answers: dict[str, list[int]] = {}
    with counted(llama) as lengths:
        while engine.has_work:
            passes += 1
            add(answers, engine.step())
    assert answers == {name: generate(llama, prompt, 1) for name, prompt in prompts.items()}
    assert sum(lengths) == len(SYSTEM_PROMPT) + 3 * 2
    assert passes == 2


def test_without_rows_for_them_nothing_is_left_of_what_ended(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefix_slots=0)
    answer(llama, engine, SYSTEM_PROMPT)
    assert answer(llama, engine, SYSTEM_PROMPT)[1] == len(SYSTEM_PROMPT) + 3


def test_what_is_used_stays_and_what_is_not_gives_way(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefix_slots=2)
    answer(llama, engine, SYSTEM_PROMPT)
    for prompt in OTHER_PROMPTS:
        answer(llama, engine, prompt)
        assert answer(llama, engine, [*SYSTEM_PROMPT, prompt[0]])[1] < 10
    assert answer(llama, engine, OTHER_PROMPTS[0])[1] == len(OTHER_PROMPTS[0]) + 3


def test_a_cancelled_request_leaves_what_it_has_computed(llama: PreTrainedModel) -> None:
    engine = make_engine(llama)
    engine.submit("gone", SYSTEM_PROMPT, 20, GREEDY)
    while engine.step() is None:
        pass
    engine.cancel("gone")
    assert answer(llama, engine, SYSTEM_PROMPT) == (generate(llama, SYSTEM_PROMPT, 4), 4)


@pytest.mark.parametrize("grows_by", [80, 8])
@pytest.mark.parametrize("is_at_once", [False, True], ids=["one after another", "at once"])
def test_conversations_compute_what_is_new_and_their_system_prompt_once(
    llama: PreTrainedModel, grows_by: int, is_at_once: bool
) -> None:
    chance = random.Random(1)
    engine = make_engine(llama, prefix_slots=3, context_length=800)
    # So long that what is new in a turn is a small part of it.
    system_prompt = [chance.randrange(50) for _ in range(300)]
    # The first turns differ in more than the least that is worth a row.
    talks = {name: [*system_prompt, *(chance.randrange(50) for _ in range(40))] for name in "abc"}
    with counted(llama) as lengths:
        for name, talk in talks.items():
            engine.submit(name, talk, 4, GREEDY)
            add_to(talks, run(engine))
        assert sum(lengths) == len(system_prompt) + 3 * (40 + 3)
        for _ in range(5):
            lengths.clear()
            for name, talk in talks.items():
                talk += [chance.randrange(50) for _ in range(grows_by - 4)]
                engine.submit(name, list(talk), 4, GREEDY)
                if not is_at_once:
                    add_to(talks, run(engine))
            add_to(talks, run(engine))
            # The last token of an answer is looked at in the next turn only.
            assert sum(lengths) == 3 * grows_by
    for talk in talks.values():
        assert generate(llama, talk[:-4], 4) == talk[-4:]


def test_conversations_that_begin_alike_do_not_lose_each_others_turns(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefix_slots=2)
    first, second = ([*SYSTEM_PROMPT[:60], *(number for _ in range(40))] for number in (1, 2))
    for prompt in (SYSTEM_PROMPT[:60], first, second):
        answer(llama, engine, prompt)

    assert answer(llama, engine, first)[1] == 4
    assert answer(llama, engine, second)[1] == 4


def test_what_says_little_that_is_new_takes_no_row(llama: PreTrainedModel) -> None:
    engine = make_engine(llama, prefix_slots=2)
    for prompt in (
        SYSTEM_PROMPT,
        OTHER_PROMPTS[0],
        [*SYSTEM_PROMPT[:80], *range(20)],
        [*SYSTEM_PROMPT[:70], *range(20)],
    ):
        answer(llama, engine, prompt)

    assert answer(llama, engine, SYSTEM_PROMPT)[1] == 4
    assert answer(llama, engine, OTHER_PROMPTS[0])[1] == 4


@pytest.mark.parametrize("seed", range(3))
def test_many_requests_with_few_beginnings_get_the_answers_of_generate(llama: PreTrainedModel, seed: int) -> None:
    chance = random.Random(seed)
    engine = make_engine(llama, slots=3, prefix_slots=2)
    prompts = {
        str(number): chance.choice([SYSTEM_PROMPT, *OTHER_PROMPTS[:2]])[: chance.randint(20, 100)]
        + [chance.randrange(50) for _ in range(chance.randint(1, 20))]
        for number in range(25)
    }
    answers: dict[str, list[int]] = {name: [] for name in prompts}
    cancelled = set()
    for name, prompt in prompts.items():
        engine.submit(name, prompt, 6, GREEDY)
        for _ in range(chance.randrange(4)):
            add(answers, engine.step())
        if chance.random() < 0.2:
            engine.cancel(name)
            cancelled.add(name)
    while engine.has_work:
        add(answers, engine.step())
    for name in prompts.keys() - cancelled:
        assert answers[name] == generate(llama, prompts[name], 6)
