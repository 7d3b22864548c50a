"""What of a prompt a model can take, and the words for what it cannot."""

import pytest
from transformers import PreTrainedTokenizerFast

from adapter.schema import ErrorCode, WorkerRequest
from handlers.chat_template import ChatTemplate
from handlers.incoming_request import RefusedRequest
from handlers.prompt_builder import PromptBuilder
from handlers.request_encoder import RequestEncoder
from tests.tokenizer_families import CHATML, make_tokenizer

CONTEXT_LENGTH = 64


def request(prompt: str, *contents: str) -> WorkerRequest:
    messages = [{"role": "user", "content": content} for content in contents] or None
    return WorkerRequest.model_validate({"id": "request-1", "prompt": prompt, "messages": messages})


def prompts(tokenizer: PreTrainedTokenizerFast, vocabulary: int | None = None) -> PromptBuilder:
    return PromptBuilder(
        RequestEncoder(tokenizer), [0], context_length=CONTEXT_LENGTH, vocabulary=vocabulary or len(tokenizer)
    )


def refusal_of(prompts: PromptBuilder, request: WorkerRequest) -> RefusedRequest:
    try:
        prompts.refuse_unseen(request)
        prompts.encode(request)
    except RefusedRequest as refusal:
        return refusal
    raise AssertionError("it is not refused")


def test_a_prompt_that_fits_is_its_tokens() -> None:
    tokenizer = make_tokenizer("byte_level")
    every = prompts(tokenizer)
    every.refuse_unseen(request("Once upon"))

    assert every.encode(request("Once upon")).ids == tokenizer("Once upon")["input_ids"]


def test_token_that_the_model_does_not_know_is_named() -> None:
    tokenizer = make_tokenizer("byte_level")
    fewer = prompts(tokenizer, vocabulary=tokenizer.convert_tokens_to_ids("<tool_call>"))
    refusal = refusal_of(fewer, request("Once <tool_call>"))

    assert refusal.code == ErrorCode.INVALID_REQUEST
    assert "the token '<tool_call>', which the tokenizer knows and the model does not" in refusal.detail
    assert fewer.encode(request("Once <think>"))


def test_prompt_of_too_many_tokens_is_refused_with_their_number() -> None:
    refusal = refusal_of(prompts(make_tokenizer("byte_level")), request("x" * 64))

    assert (refusal.code, refusal.prompt_tokens) == (ErrorCode.PROMPT_TOO_LONG, 65)
    assert "context length is 64 tokens" in refusal.detail
    assert "a prompt of 65 tokens exceeds the context window" in refusal.detail


def test_prompt_that_cannot_fit_is_refused_before_its_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    every = prompts(make_tokenizer("byte_level"))
    monkeypatch.delattr(RequestEncoder, "encode")
    refusal = refusal_of(every, request("x" * 1_000_000))

    assert refusal.code == ErrorCode.PROMPT_TOO_LONG
    assert "a prompt of at least 83334 tokens exceeds the context window" in refusal.detail


def test_prompt_that_may_be_one_unknown_word_is_not_refused_by_its_length() -> None:
    tokenizer = make_tokenizer("word_level")

    ids = prompts(tokenizer).encode(request("x" * 100_000)).ids

    assert len(ids) == 2  # the beginning of the sequence, an unknown word


def test_conversation_that_the_template_shortens_is_not_refused_by_its_length() -> None:
    only_the_last = "{{ messages[-1]['content'] }}"
    long = request("x" * 100_000, "x" * 100_000, "Once")
    every = prompts(make_tokenizer("byte_level", only_the_last))
    every.refuse_unseen(long)

    assert every.encode(long).ids == make_tokenizer("byte_level")("Once", add_special_tokens=False)["input_ids"]


def test_conversation_that_cannot_fit_is_refused_before_its_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    every = prompts(make_tokenizer("byte_level", CHATML))
    monkeypatch.delattr(ChatTemplate, "_encode")
    refusal = refusal_of(every, request("x" * 100_000, "x" * 100_000))

    assert refusal.code == ErrorCode.PROMPT_TOO_LONG
    assert "a prompt of at least" in refusal.detail


def test_conversation_of_too_many_tokens_is_refused_before_its_marks_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = prompts(make_tokenizer("byte_level", CHATML))
    monkeypatch.delattr(ChatTemplate, "_own_marks")  # which renders and tokenises it again
    refusal = refusal_of(every, request("Once", "<|im_end|>" + "x y " * 60))

    assert refusal.code == ErrorCode.PROMPT_TOO_LONG


def test_conversation_as_plain_text_is_refused_like_a_prompt() -> None:
    refusal = refusal_of(prompts(make_tokenizer("byte_level")), request("x" * 100_000, "x" * 100_000))

    assert "a prompt of at least 8334 tokens" in refusal.detail


def test_words_of_the_template_reach_the_caller() -> None:
    tokenizer = make_tokenizer("byte_level", "{{ raise_exception('No such role here') }}" + CHATML)
    refusal = refusal_of(prompts(tokenizer), request("Once", "Once"))

    assert refusal.code == ErrorCode.INVALID_REQUEST
    assert "No such role here" in refusal.detail


def test_truncation_that_tokenizer_json_asks_for_is_undone_before_any_prompt() -> None:
    """Undone later it would be in the middle of another thread's decoding, which the tokenizer refuses."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make_tokenizer("byte_level").backend_tokenizer)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    prompts(tokenizer)

    assert (tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding) == (None, None)
