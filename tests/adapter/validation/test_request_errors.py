"""The words for what Pydantic finds: those of our API's callers, who may know no Python."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adapter.openai.schema import ChatCompletionRequest
from adapter.schema import BatchRequest, GenerationRequest
from adapter.validation.request_errors import invalid_request


def words_for(kind: type[BaseModel], value: object) -> str:
    with pytest.raises(ValidationError) as refusal:
        kind.model_validate(value)
    return invalid_request(refusal.value.errors()).detail


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"colour": 1}, "colour: there is no such field"),
        ({"max_tokens": 5}, "max_tokens: there is no such field: is max_length meant?"),
        ({"max_new_tokens": 5}, "max_new_tokens: there is no such field: is max_length meant?"),
        ({"stop": 5}, "stop: must be a list"),
        ({"stop": ["a"] * 65}, "stop: must have at most 64 items"),
        ({"stop": ["a" * 1_000] * 5}, "stop: must have at most 4000 characters in all"),
        ({"max_length": 0}, "max_length: Input should be greater than or equal to 1"),
    ],
    ids=str,
)
def test_a_field_of_a_generation(keys: dict[str, Any], words: str) -> None:
    assert words_for(GenerationRequest, {"prompt": "Once"} | keys) == words


@pytest.mark.parametrize(
    ("requests", "words"),
    [("Once", "requests: must be a list"), ([], "requests: must have at least 1 item")],
    ids=["no list", "nothing in it"],
)
def test_the_list_of_a_batch(requests: object, words: str) -> None:
    assert words_for(BatchRequest, {"requests": requests}) == words


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"messages": "Once"}, "messages: must be a list"),
        ({"messages": []}, "messages: must have at least 1 item"),
        ({"messages": ["Once"]}, "messages.0: must be a JSON object"),
        ({"stream_options": True}, "stream_options: must be a JSON object"),
    ],
    ids=str,
)
def test_a_field_of_a_chat(keys: dict[str, Any], words: str) -> None:
    assert words_for(ChatCompletionRequest, {"messages": [{"role": "user", "content": "Hi"}]} | keys) == words


@pytest.mark.parametrize("kind", [GenerationRequest, BatchRequest, ChatCompletionRequest])
def test_a_body_that_is_no_object(kind: type[BaseModel]) -> None:
    assert words_for(kind, "Once") == "body: must be a JSON object"
