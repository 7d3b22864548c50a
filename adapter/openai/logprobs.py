"""Logprobs as OpenAI's two kinds of answers have them."""

import codecs
from collections.abc import Sequence
from typing import Any

from adapter.schema import PromptLogprob, TokenLogprob, TopLogprob

Json = dict[str, Any]


def of_chat(told: Sequence[TokenLogprob], _offset: int) -> Json:
    return {
        "content": [_token(each) | {"top_logprobs": [_token(top) for top in each.top]} for each in told],
        "refusal": None,
    }


def of_completion(told: Sequence[TokenLogprob | PromptLogprob], offset: int) -> Json:
    """offset: characters of the answer before the first of these tokens."""
    offsets = []
    characters = codecs.getincrementaldecoder("utf-8")(errors="ignore")  # which several tokens may make up together
    for each in told:
        offsets.append(offset)
        offset += len(characters.decode(bytes(each.bytes)))
    return {
        "tokens": [each.token for each in told],
        "token_logprobs": [each.logprob for each in told],
        "top_logprobs": list(map(_likeliest, told)),
        "text_offset": offsets,
    }


def _likeliest(told: TokenLogprob | PromptLogprob) -> Json | None:
    """The likeliest tokens, and the one that was taken, however unlikely. None for a prompt's first token."""
    if told.logprob is None:
        return None
    return {top.token: top.logprob for top in told.top} | {told.token: told.logprob}


def _token(told: TopLogprob) -> Json:
    return {"token": told.token, "logprob": told.logprob, "bytes": list(told.bytes)}
