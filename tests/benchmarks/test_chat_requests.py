"""What is asked of all servers alike, and what is counted of their answers."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.chat_requests import OUTPUT_TOKENS, questions, read_chat

START = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"Once"}}],"usage":null}\n\n'
END = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\ndata: [DONE]\n\n'


def response(*chunks: bytes) -> Any:
    async def iter_any() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return SimpleNamespace(url="http://test", content=SimpleNamespace(iter_any=iter_any))


def test_no_question_comes_twice_and_answers_have_the_same_lengths_in_each_round() -> None:
    rounds = [questions(64, seed) for seed in range(20)]

    texts = [text for asked in rounds for text, _ in asked]
    assert len(set(texts)) == len(texts)
    assert len({tuple(sorted(most for _, most in asked)) for asked in rounds}) == 1
    assert all(OUTPUT_TOKENS[0] <= most <= OUTPUT_TOKENS[1] for _, most in rounds[0])


def test_tokens_are_those_that_the_server_counted() -> None:
    answer = asyncio.run(read_chat(response(START, TEXT, END)))

    assert answer.tokens == 7
    assert answer.first_token_at is not None


def test_an_event_without_text_is_no_first_token() -> None:
    assert asyncio.run(read_chat(response(START, END))).first_token_at is None


def test_a_stream_that_ends_without_its_usage_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="http://test ended with"):
        asyncio.run(read_chat(response(START, TEXT)))
