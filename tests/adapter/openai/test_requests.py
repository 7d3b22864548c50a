from typing import Any

import pytest
from pydantic import ValidationError

from adapter.errors import ModelNotFound, PromptTooLong
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest
from adapter.output import JsonOutput
from adapter.schema import GenerationRequest
from tests.adapter.openai.asked_generation import HELLO, chat, completion, refused_field


def test_every_key_of_ours_arrives() -> None:
    sent = {"temperature": 0, "top_p": 0.5, "top_k": 3, "repetition_penalty": 1.1, "stop": ["a", "b"], "seed": 7}
    assert completion(**sent, max_tokens=5, model="tiny@1.0") == GenerationRequest(
        prompt="Once", max_length=5, model="tiny", model_version="1.0", **sent
    )


def test_what_is_not_sent_is_what_openai_takes_for_it() -> None:
    assert completion() == GenerationRequest(prompt="Once", max_length=16)
    assert chat().max_length == 32_768


@pytest.mark.parametrize(
    "keys",
    [
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"max_completion_tokens": 5, "max_tokens": 9},
        {"max_completion_tokens": 0, "max_tokens": 5},
    ],
    ids=str,
)
def test_both_names_limit_the_tokens_of_a_chat(keys: dict[str, int]) -> None:
    assert chat(**keys).max_length == 5


@pytest.mark.parametrize("prompt", ["Once", ["Once"]], ids=["text", "list of one text"])
def test_one_prompt_is_taken(prompt: object) -> None:
    assert completion(prompt=prompt).prompt == "Once"


@pytest.mark.parametrize("prompt", ["", [], [[]], ["Once", ""], 7, {}], ids=str)
def test_any_other_prompt_is_refused(prompt: object) -> None:
    assert refused_field(completion, prompt=prompt) == "prompt"


@pytest.mark.parametrize("stop", ["ab", ["ab"]], ids=["text", "list"])
def test_one_stop_string_needs_no_list(stop: object) -> None:
    assert completion(stop=stop).stop == ("ab",)


def test_null_is_as_absent() -> None:
    optional = set(ChatCompletionRequest.model_fields) - {"messages"}
    assert chat(**dict.fromkeys(optional)) == chat()
    assert completion(stream_options={"include_usage": None}) == completion()


@pytest.mark.parametrize("stop", ["", [], [""], ["", ""]], ids=str)
def test_an_empty_stop_string_ends_no_answer(stop: object) -> None:
    assert completion(stop=stop).stop == ()


def test_of_stop_strings_the_empty_and_the_repeated_are_left_out() -> None:
    assert completion(stop=["\nUser:", "", "END", "\nUser:"]).stop == ("\nUser:", "END")


def test_as_many_and_as_long_stop_strings_are_taken_as_applications_send() -> None:
    names = [f"\nCharacter {number}:" for number in range(64)]
    assert completion(stop=names).stop == tuple(names)
    assert completion(stop="a" * 1_000).stop == ("a" * 1_000,)


@pytest.mark.parametrize(
    "stop",
    [[f"{number}" for number in range(65)], "a" * 1_001, [c * 1_000 for c in "abcde"]],
    ids=["many", "long", "sum"],
)
def test_stop_strings_that_would_cost_every_token_time_are_refused(stop: object) -> None:
    assert refused_field(completion, stop=stop).startswith("stop")


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"top_k": -1}, "top_k"),
        ({"top_k": 0}, "top_k"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_what_switches_a_key_off_is_none_but_was_said(keys: dict[str, int], field: str) -> None:
    """Whoever fills in what the model's authors recommend must not fill in here."""
    request = completion(**keys)
    assert getattr(request, field) is None
    assert field in request.model_fields_set


def test_what_was_not_said_stays_unsaid() -> None:
    said = {"prompt", "max_length"}
    assert completion().model_fields_set == completion(top_k=None, stop=None).model_fields_set == said
    assert "temperature" not in CompletionRequest.model_validate({"prompt": "Once"}).model_fields_set


def test_top_p_of_zero_takes_the_likeliest_token() -> None:
    request = completion(top_p=0, temperature=1.5, repetition_penalty=1.2)
    assert (request.temperature, request.top_p, request.repetition_penalty) == (0, None, 1.2)


@pytest.mark.parametrize("seed", [-(2**63), -5, -2, 2**53, 2**60, 2**63 - 1, 2**64 - 1])
def test_a_seed_of_64_bits_is_always_the_same_one_of_ours(seed: int) -> None:
    assert completion(seed=seed).seed == completion(seed=seed).seed == seed % 2**53


@pytest.mark.parametrize("seed", [0, 42, 2**53 - 1])
def test_a_seed_in_our_range_stays_as_it_is(seed: int) -> None:
    assert completion(seed=seed).seed == seed


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("tokens", [-1, 0, 32_768, 64_000, 131_072, 10**20])
def test_more_tokens_than_any_answer_has_are_no_limit(key: str, tokens: int) -> None:
    assert chat(**{key: tokens}).max_length == 32_768


@pytest.mark.parametrize("tokens", [-1, 0, 64_000])
def test_no_limit_is_no_limit_for_a_completion_too(tokens: int) -> None:
    assert completion(max_tokens=tokens).max_length == 32_768


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 2.1),
        ("temperature", "1"),
        ("top_p", -0.1),
        ("top_k", -2),
        ("repetition_penalty", -1),
        ("seed", 2**64),
        ("seed", -(2**63) - 1),
        ("seed", 1.5),
        ("max_tokens", -2),
        ("max_completion_tokens", -2),
        ("stop", 7),
        ("stream", "yes"),
        ("messages", []),
        ("messages", "Hello"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_that_the_caller_used(key: str, value: object) -> None:
    assert refused_field(chat, **{key: value}) == key


def test_a_part_of_a_key_that_is_refused_is_named() -> None:
    with pytest.raises(ValidationError) as refusal:
        completion(stop=["a", "", 5])
    assert refusal.value.errors()[0]["loc"] == ("stop", 2)


@pytest.mark.parametrize(
    ("ask", "field"),
    [(lambda text: completion(prompt=text), "prompt"), (lambda text: chat(HELLO | {"content": text}), "messages")],
    ids=["completion", "chat"],
)
def test_more_characters_than_a_prompt_may_have_are_a_prompt_too_long(ask: Any, field: str) -> None:
    with pytest.raises(PromptTooLong, match="prompt is too long") as refusal:
        ask("a" * 1_000_001)
    assert [error.field for error in refusal.value.errors] == [field]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, (None, None)),
        ("", (None, None)),
        ("tiny", ("tiny", None)),
        ("tiny@1.0", ("tiny", "1.0")),
        ("tiny@", ("tiny", None)),
    ],
)
def test_a_model_is_a_name_or_a_name_with_a_version(model: str | None, expected: tuple[str | None, str | None]) -> None:
    request = completion(model=model)
    assert (request.model, request.model_version) == expected


@pytest.mark.parametrize("model", ["@1.0", "org/model", "tiny:1.0", "tiny@1/0", "tiny@1.0\n", "a\nb"])
def test_what_no_model_can_be_called_is_no_model(model: str) -> None:
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        completion(model=model)


def test_json_of_a_schema_is_our_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "null"}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}

    assert chat(response_format=format_).output == JsonOutput(schema=schema)
    assert chat(response_format={"type": "json_object"}).output == JsonOutput(schema={"type": "object"})
    assert chat(response_format={"type": "text"}).output is None
    assert chat().output is None
