"""Every parameter of the Responses API is used, refused or ignored, and once."""

import re
from typing import Any

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import ValidationError

from adapter.openai.responses import unsupported
from adapter.openai.responses.schema import ResponseRequest
from adapter.openai.responses.translation import from_response
from tests.adapter.openai.responses.response_calls import BODY
from tests.adapter.openai.test_unsupported import IGNORED as IGNORED_IN_CHATS
from tests.adapter.openai.test_unsupported import VLLM, VLLM_CHAT

IGNORED = set(re.findall(r"`(\w+)`", unsupported.__doc__ or ""))

# Of ResponsesRequest in vLLM's entrypoints/openai/responses/protocol.py, and not of its chats.
VLLM_RESPONSE = {"enable_response_messages", "previous_input_messages"}
# Of the API for chats: who moves from there sends these.
CHATS = {"messages", "max_tokens", "max_completion_tokens", "response_format", "n", "logprobs", "functions"}


def test_every_documented_parameter_is_decided() -> None:
    assert set(ResponseCreateParamsBase.__annotations__) - set(ResponseRequest.model_fields) - IGNORED == set()


@pytest.mark.parametrize("names", [VLLM, VLLM_CHAT, VLLM_RESPONSE, CHATS], ids=["vLLM", "chats", "responses", "OpenAI"])
def test_every_parameter_of_its_kin_is_decided(names: set[str]) -> None:
    assert names - set(ResponseRequest.model_fields) - IGNORED - IGNORED_IN_CHATS == set()


def test_no_parameter_is_decided_twice() -> None:
    assert not IGNORED & set(ResponseRequest.model_fields)


@pytest.mark.parametrize("key", [*sorted(IGNORED), "some_other_key"])
def test_what_changes_no_answer_is_ignored(key: str) -> None:
    assert from_response(ResponseRequest.model_validate(BODY | {key: "x"})) == from_response(
        ResponseRequest.model_validate(BODY)
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"store": False, "background": False, "truncation": "disabled"},
        {"previous_response_id": None, "conversation": None, "prompt": None},
        {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"context_management": [], "text": {"verbosity": "low"}, "metadata": {}},
        {"stream_options": {"include_obfuscation": False}},
    ],
    ids=str,
)
def test_what_asks_for_nothing_is_taken(keys: dict[str, Any]) -> None:
    assert from_response(ResponseRequest.model_validate(BODY | keys)) == from_response(
        ResponseRequest.model_validate(BODY)
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("store", True, "keeps no responses: leave it out, or send false"),
        ("previous_response_id", "resp_1", "keeps no responses, so all of the conversation has to be in `input`"),
        ("conversation", {"id": "conv_1"}, "keeps no responses, so all of the conversation has to be in `input`"),
        ("background", True, "keeps no responses"),
        ("prompt", {"id": "pmpt_1"}, "keeps no prompts"),
        ("truncation", "auto", 'Not supported by this server: leave it out, or send "disabled"'),
        ("context_management", [{"type": "compaction"}], "Not supported by this server"),
        ("moderation", {"model": "m"}, "Not supported by this server"),
        ("messages", [{"role": "user", "content": "Hi"}], "Here it is called input"),
        ("max_tokens", 5, "Here it is called max_output_tokens"),
        ("response_format", {"type": "json_object"}, "Here it is called text.format"),
        ("n", 2, "Not supported by this server"),
        ("chat_template_kwargs", {"enable_thinking": False}, "Not supported by this server"),
    ],
    ids=str,
)
def test_what_would_change_the_answer_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ResponseRequest.model_validate(BODY | {key: value})
    [error] = refusal.value.errors()
    assert error["loc"] == (key,)
    assert words in error["msg"]
