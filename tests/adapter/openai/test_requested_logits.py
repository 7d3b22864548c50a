from typing import Any

import pytest

from tests.adapter.openai.asked_generation import chat, completion, refused_field


def test_changes_of_logits_are_ours_by_their_own_names() -> None:
    request = completion(
        frequency_penalty=0.5, presence_penalty=-1, logit_bias={"5": -100, "7": 2.5}, min_p=0.05, ignore_eos=True
    )

    assert (request.frequency_penalty, request.presence_penalty) == (0.5, -1)
    assert request.logit_bias == {"5": -100, "7": 2.5}
    assert (request.min_p, request.ignore_eos) == (0.05, True)


def test_fewest_tokens_are_our_least_length() -> None:
    assert completion(min_tokens=5).min_length == 5


def test_what_switches_them_off_changes_nothing() -> None:
    nothing = completion(
        frequency_penalty=0, presence_penalty=0, logit_bias=[], min_p=0, min_tokens=0, ignore_eos=False
    )
    plain = completion()

    names = ("frequency_penalty", "presence_penalty", "logit_bias", "min_p", "min_length", "ignore_eos")
    assert all(getattr(nothing, name) == getattr(plain, name) for name in names)


@pytest.mark.parametrize(
    ("field", "value"),
    [("frequency_penalty", 2.5), ("presence_penalty", -3), ("logit_bias", {"5": 101}), ("logit_bias", {"-1": 1})],
)
def test_what_is_out_of_range_is_refused_by_its_name(field: str, value: object) -> None:
    assert refused_field(completion, **{field: value}).startswith(field)


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 3}, 3),
        ({"top_logprobs": 3}, 3),
        ({"logprobs": False}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_chat_asks_for_logprobs_in_two_fields(keys: dict[str, Any], ours: int | None) -> None:
    assert chat(**keys).logprobs == ours


@pytest.mark.parametrize(("keys", "ours"), [({"logprobs": 0}, 0), ({"logprobs": 5}, 5), ({}, None)], ids=str)
def test_a_completion_asks_for_logprobs_in_one(keys: dict[str, Any], ours: int | None) -> None:
    assert completion(**keys).logprobs == ours


def test_more_logprobs_than_are_told_are_refused() -> None:
    assert refused_field(chat, logprobs=True, top_logprobs=21) == "top_logprobs"
    assert refused_field(completion, logprobs=21) == "logprobs"


def test_fewest_tokens_are_refused_by_their_own_name() -> None:
    assert refused_field(chat, min_tokens=-1) == "min_tokens"
    assert refused_field(completion, min_tokens=-1) == "min_tokens"
