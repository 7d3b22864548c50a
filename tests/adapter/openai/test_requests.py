from typing import Any

import pytest
from pydantic import ValidationError

from adapter.errors import InvalidRequest, ModelNotFound
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest
from adapter.openai.translation import from_chat, from_completion
from adapter.schema import ChatGenerationRequest, ChatMessage, GenerationRequest

HELLO = {"role": "user", "content": "Hello"}


def completion(**keys: Any) -> GenerationRequest:
    return from_completion(CompletionRequest.model_validate({"prompt": "Once"} | keys))


def chat(*messages: dict[str, Any], **keys: Any) -> ChatGenerationRequest:
    return from_chat(ChatCompletionRequest.model_validate({"messages": list(messages or [HELLO])} | keys))


def refused_field(call: Any, **keys: Any) -> str:
    with pytest.raises((ValidationError, InvalidRequest)) as refusal:
        call(**keys)
    error = refusal.value
    return str(error.errors()[0]["loc"][0]) if isinstance(error, ValidationError) else error.errors[0].field


def test_every_key_of_ours_arrives() -> None:
    sent = {"temperature": 0, "top_p": 0.5, "top_k": 3, "repetition_penalty": 1.1, "stop": ["a", "b"], "seed": 7}
    assert completion(**sent, max_tokens=5, model="tiny@1.0") == GenerationRequest(
        prompt="Once", max_length=5, model="tiny", model_version="1.0", **sent
    )


def test_what_is_not_sent_is_what_openai_takes_for_it() -> None:
    assert completion() == GenerationRequest(prompt="Once", max_length=16, temperature=1)
    assert (chat().max_length, chat().temperature) == (32_768, 1)


@pytest.mark.parametrize("keys", [{"max_tokens": 5}, {"max_completion_tokens": 5, "max_tokens": 9}])
def test_both_names_limit_the_tokens_of_a_chat(keys: dict[str, int]) -> None:
    assert chat(**keys).max_length == 5


@pytest.mark.parametrize("prompt", ["Once", ["Once"]], ids=["text", "list of one text"])
def test_one_prompt_is_taken(prompt: object) -> None:
    assert completion(prompt=prompt).prompt == "Once"


@pytest.mark.parametrize("prompt", ["", [], [1, 2], [[1, 2]], ["Once", "Twice"], 7, {}], ids=str)
def test_any_other_prompt_is_refused(prompt: object) -> None:
    assert refused_field(completion, prompt=prompt) == "prompt"


@pytest.mark.parametrize("stop", ["ab", ["ab"]], ids=["text", "list"])
def test_one_stop_string_needs_no_list(stop: object) -> None:
    assert completion(stop=stop).stop == ("ab",)


def test_null_is_as_absent() -> None:
    optional = set(ChatCompletionRequest.model_fields) - {"messages"}
    assert chat(**dict.fromkeys(optional)) == chat()
    assert completion(stream_options={"include_usage": None}) == completion()


def test_an_unknown_key_is_ignored() -> None:
    assert completion(ignore_eos=True, user="u", store=True, metadata={"a": "b"}) == completion()
    assert chat(HELLO | {"name": "Mia"}, reasoning_effort="low") == chat()


@pytest.mark.parametrize(
    "keys",
    [
        {"n": 1},
        {"logprobs": False, "top_logprobs": 0},
        {"frequency_penalty": 0, "presence_penalty": 0.0},
        {"logit_bias": {}},
        {"tools": [], "functions": []},
        {"response_format": {"type": "text"}, "modalities": ["text"]},
    ],
    ids=str,
)
def test_what_asks_for_nothing_of_a_key_that_we_do_not_have_is_taken(keys: dict[str, Any]) -> None:
    assert chat(**keys) == chat()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n", 2),
        ("n", True),
        ("logprobs", True),
        ("logprobs", 0),
        ("top_logprobs", 1),
        ("frequency_penalty", 0.1),
        ("presence_penalty", -2),
        ("logit_bias", {"50256": -100}),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("functions", [{"name": "f"}]),
        ("response_format", {"type": "json_object"}),
        ("modalities", ["text", "audio"]),
    ],
)
def test_a_key_that_would_change_the_answer_of_a_chat_is_refused(key: str, value: object) -> None:
    assert refused_field(chat, **{key: value}) == key


@pytest.mark.parametrize(("key", "value"), [("logprobs", 1), ("best_of", 2), ("echo", True), ("suffix", "end")])
def test_a_key_that_would_change_a_completion_is_refused(key: str, value: object) -> None:
    assert refused_field(completion, **{key: value}) == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 2.1),
        ("temperature", "1"),
        ("top_p", 0),
        ("seed", -1),
        ("max_tokens", 0),
        ("max_completion_tokens", 40_000),
        ("stop", 7),
        ("stream", "yes"),
        ("messages", []),
        ("messages", "Hello"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_that_the_caller_used(key: str, value: object) -> None:
    assert refused_field(chat, **{key: value}) == key


def test_a_part_of_a_key_that_is_refused_is_named() -> None:
    assert refused_field(completion, stop=["a", ""]) == "stop.1"


def test_a_chat_of_too_many_characters_is_refused_by_its_messages() -> None:
    assert refused_field(lambda: chat(HELLO | {"content": "a" * 1_000_001})) == "messages"


def test_messages_are_sent_as_they_are_and_as_plain_text() -> None:
    request = chat(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": "are you?"}]},
    )
    assert request.messages == (
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="Hi"),
        ChatMessage(role="assistant", content="Hello!"),
        ChatMessage(role="user", content="Who\nare you?"),
    )
    assert request.prompt == "Be brief.\n\nUser: Hi\nAssistant: Hello!\nUser: Who\nare you?\nAssistant:"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "user"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
        {"role": "user", "content": ["Hello"]},
        {"role": "user", "content": [{"type": "thinking", "text": "Hello"}]},
        "Hello",
    ],
    ids=str,
)
def test_a_message_that_is_not_text_is_refused(message: Any) -> None:
    assert refused_field(lambda: chat(message)) == "messages"


@pytest.mark.parametrize(
    ("model", "expected"),
    [(None, (None, None)), ("tiny", ("tiny", None)), ("tiny@1.0", ("tiny", "1.0")), ("tiny@", ("tiny", None))],
)
def test_a_model_is_a_name_or_a_name_with_a_version(model: str | None, expected: tuple[str | None, str | None]) -> None:
    request = completion(model=model)
    assert (request.model, request.model_version) == expected


@pytest.mark.parametrize("model", ["", "@1.0", "org/model", "tiny:1.0", "tiny@1/0", "tiny@1.0\n", "a\nb"])
def test_what_no_model_can_be_called_is_no_model(model: str) -> None:
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        completion(model=model)
