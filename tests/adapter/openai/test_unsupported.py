import re
from typing import Any

import pytest
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from pydantic import ValidationError

from adapter.openai import unsupported
from adapter.openai.schema import ChatCompletionRequest, CompletionRequest, OpenAIRequest
from adapter.openai.translation import from_chat, from_completion

COMPLETION = {"prompt": "Once"}
CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
IGNORED = set(re.findall(r"`(\w+)`", unsupported.__doc__ or ""))

# The fields of ChatCompletionRequest and CompletionRequest in vLLM's entrypoints/openai/*/protocol.py that are not
# OpenAI's, and those of releases before that were renamed since.
VLLM = {
    *("add_special_tokens", "allowed_token_ids", "bad_words", "best_of", "cache_salt"),
    *("ec_transfer_params", "echo", "guided_choice", "guided_decoding_backend", "guided_grammar"),
    *("guided_json", "guided_regex", "guided_whitespace_pattern", "ignore_eos"),
    *("include_stop_str_in_output", "kv_transfer_params", "length_penalty", "logits_processors", "min_p"),
    *("min_tokens", "priority", "prompt_logprobs", "repetition_detection", "repetition_penalty"),
    *("request_id", "response_format", "return_token_ids", "return_token_offsets"),
    *("return_tokens_as_token_ids", "skip_special_tokens", "spaces_between_special_tokens"),
    *("stop_token_ids", "structural_tag", "structured_outputs", "thinking_token_budget", "top_k"),
    *("truncate_prompt_tokens", "truncation_side", "use_beam_search", "vllm_xargs"),
}
VLLM_COMPLETION = ["prompt_embeds"]
VLLM_CHAT = {
    *("add_generation_prompt", "chat_template", "chat_template_kwargs", "continue_final_message"),
    *("documents", "include_reasoning", "media_io_kwargs", "mm_processor_kwargs", "reasoning_effort"),
    *("return_assistant_tokens_mask", "return_prompt_text"),
}

# What SillyTavern (public/scripts/textgen-settings.js) sends to a completion, with its sliders at rest.
SILLYTAVERN = {
    "max_tokens": 250,
    "max_new_tokens": 250,
    "n": 1,
    "best_of": 1,
    "temperature": 1,
    "temperature_last": True,
    "top_p": 1,
    "top_k": 0,
    "top_a": 0,
    "min_p": 0,
    "tfs": 1,
    "eta_cutoff": 0,
    "epsilon_cutoff": 0,
    "typical_p": 1,
    "repetition_penalty": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "ignore_eos": False,
    "min_tokens": 0,
    "skip_special_tokens": True,
    "spaces_between_special_tokens": True,
    "guided_grammar": "",
    "guided_json": {},
    "early_stopping": False,
    "include_stop_str_in_output": False,
    "xtc_threshold": 0.1,
    "xtc_probability": 0,
    "custom_token_bans": [],
    "add_bos_token": True,
    "seed": -1,
    "stop": ["\nUser:", ""],
    "stream": True,
}
# What the page of llama.cpp's server sends, and the defaults of its README.
LLAMA_CPP = {
    "stream": True,
    "reasoning_format": "none",
    "temperature": 0.8,
    "dynatemp_range": 0,
    "dynatemp_exponent": 1,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0,
    "typical_p": 1,
    "xtc_probability": 0,
    "xtc_threshold": 0.1,
    "top_n_sigma": -1.0,
    "mirostat": 0,
    "repeat_last_n": 64,
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "dry_multiplier": 0,
    "logit_bias": [],
    "grammar": "",
    "n_probs": 0,
    "ignore_eos": False,
    "seed": -1,
    "max_tokens": -1,
    "cache_prompt": True,
    "timings_per_token": False,
}
# What vLLM takes where nothing is said, which langchain_community's VLLMOpenAI and others send in so many words.
VLLM_DEFAULTS = {
    "best_of": 1,
    "use_beam_search": False,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "stop_token_ids": [],
    "ignore_eos": False,
    "min_tokens": 0,
    "skip_special_tokens": True,
    "spaces_between_special_tokens": True,
    "response_format": {"type": "text"},
    "bad_words": [],
    "allowed_token_ids": [],
}


def refusals(kind: type[OpenAIRequest], **body: Any) -> list[object]:
    with pytest.raises(ValidationError) as refusal:
        kind.model_validate(body)
    return [error["loc"][0] for error in refusal.value.errors()]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (CompletionRequest, [*completion_create_params.CompletionCreateParamsBase.__annotations__, *VLLM]),
        (CompletionRequest, VLLM_COMPLETION),
        (ChatCompletionRequest, [*chat_create_params.CompletionCreateParamsBase.__annotations__, *VLLM, *VLLM_CHAT]),
    ],
    ids=["completions", "completions of vLLM", "chats"],
)
def test_every_documented_parameter_is_decided(kind: type[OpenAIRequest], names: list[str]) -> None:
    assert set(names) - set(kind.model_fields) - IGNORED == set()


def test_no_parameter_is_decided_twice() -> None:
    assert not IGNORED & (set(ChatCompletionRequest.model_fields) | set(CompletionRequest.model_fields))


@pytest.mark.parametrize("key", [*sorted(IGNORED), "some_other_key"])
def test_what_changes_no_answer_is_ignored(key: str) -> None:
    assert from_completion(CompletionRequest.model_validate(COMPLETION | {key: "x"})) == from_completion(
        CompletionRequest.model_validate(COMPLETION)
    )


@pytest.mark.parametrize("body", [SILLYTAVERN, LLAMA_CPP, VLLM_DEFAULTS], ids=["SillyTavern", "llama.cpp", "vLLM"])
def test_applications_with_their_switches_off_are_answered(body: dict[str, Any]) -> None:
    [request] = from_completion(CompletionRequest.model_validate(COMPLETION | body))
    assert (request.seed, request.repetition_penalty in (None, 1)) == (None, True)
    assert from_chat(ChatCompletionRequest.model_validate(CHAT | body))[0].seed is None


@pytest.mark.parametrize(
    "keys",
    [
        {"n": 1},
        {"n": 1.0},
        {"logprobs": False, "top_logprobs": 0},
        {"logprobs": 0},
        {"frequency_penalty": 0, "presence_penalty": 0.0},
        {"logit_bias": {}},
        {"tools": [], "functions": []},
        {"tool_choice": "none", "function_call": "none"},
        {"tool_choice": "auto", "parallel_tool_calls": True},
        {"response_format": {"type": "text"}, "modalities": ["text"]},
        {"add_special_tokens": False, "add_generation_prompt": True, "continue_final_message": False},
        {"chat_template_kwargs": {}, "documents": []},
        {"echo": False, "ignore_eos": False, "min_tokens": 0},
    ],
    ids=str,
)
def test_what_asks_for_nothing_of_a_chat_is_taken(keys: dict[str, Any]) -> None:
    assert from_chat(ChatCompletionRequest.model_validate(CHAT | keys)) == from_chat(
        ChatCompletionRequest.model_validate(CHAT)
    )


@pytest.mark.parametrize(
    "keys", [{"best_of": 1, "suffix": "", "echo": False}, {"add_special_tokens": True}, {"logprobs": False}], ids=str
)
def test_what_asks_for_nothing_of_a_completion_is_taken(keys: dict[str, Any]) -> None:
    assert from_completion(CompletionRequest.model_validate(COMPLETION | keys)) == from_completion(
        CompletionRequest.model_validate(COMPLETION)
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n", True),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("web_search_options", {}),
        ("stop_token_ids", [2]),
        ("guided_json", {"type": "object"}),
        ("structured_outputs", {"choice": ["a", "b"]}),
        ("skip_special_tokens", False),
        ("add_special_tokens", True),
        ("chat_template_kwargs", {"enable_thinking": False}),
        ("mirostat", 2),
    ],
    ids=str,
)
def test_what_would_change_the_answer_of_a_chat_is_refused(key: str, value: object) -> None:
    assert refusals(ChatCompletionRequest, **CHAT, **{key: value}) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("suffix", "end"),
        ("add_special_tokens", False),
        ("use_beam_search", True),
        ("truncate_prompt_tokens", 100),
        ("repeat_penalty", 1.1),
    ],
    ids=str,
)
def test_what_would_change_a_completion_is_refused(key: str, value: object) -> None:
    assert refusals(CompletionRequest, **COMPLETION, **{key: value}) == [key]


def test_a_refusal_says_what_may_be_sent() -> None:
    with pytest.raises(ValidationError, match=r"leave it out, or send \[\]"):
        ChatCompletionRequest.model_validate(CHAT | {"functions": [{}]})
