from typing import Any

import pytest

from adapter.errors import InvalidRequest
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest
from adapter.openai.translation import from_chat, from_completion
from adapter.schema import GenerationRequest
from tests.adapter.openai.asked_generation import HELLO, refused_field


def choices(**keys: Any) -> list[GenerationRequest]:
    return from_completion(CompletionRequest.model_validate({"prompt": "Once"} | keys))


def test_each_prompt_has_its_choices_one_after_the_other() -> None:
    requests = choices(prompt=["Once", "Twice"], n=2, seed=5)

    assert [(request.prompt, request.seed) for request in requests] == [
        ("Once", 5),
        ("Once", 6),
        ("Twice", 5),
        ("Twice", 6),
    ]


def test_choices_without_a_seed_are_left_to_chance() -> None:
    assert [request.seed for request in choices(n=3)] == [None] * 3


def test_a_chat_has_choices_too() -> None:
    requests = from_chat(ChatCompletionRequest.model_validate({"messages": [HELLO], "n": 3}))
    assert [request.prompt for request in requests] == [requests[0].prompt] * 3


def test_choices_and_their_logprobs_have_a_limit_together() -> None:
    assert len(choices(n=6, logprobs=20)) == 6
    assert len(choices(n=32, logprobs=3)) == 32
    assert refused_field(choices, n=7, logprobs=20) == "n"


def test_best_of_is_n() -> None:
    assert len(choices(n=2, best_of=2)) == 2
    assert refused_field(choices, n=1, best_of=2) == "best_of"


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_there_is_a_whole_number_of_choices(n: object) -> None:
    assert refused_field(choices, n=n) == "n"


def test_a_call_has_no_more_answers_than_a_batch() -> None:
    request = CompletionRequest.model_validate({"prompt": ["Once", "Twice"], "n": 3})
    assert len(from_completion(request, 6)) == 6
    with pytest.raises(InvalidRequest, match="asks for 6 answers, and a call has at most 5"):
        from_completion(request, 5)
