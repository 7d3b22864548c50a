"""How likely the model found each token of a prompt, by its own forward pass over some tokens at a time."""

from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import PreTrainedModel

from handlers.logprobs import Logprobs, logprobs_of

_TOKENS_AT_ONCE = 256  # as a piece of a prompt in the engine (engine.py, prefill_tokens)


def prompt_logprobs(
    model: PreTrainedModel,
    ids: Sequence[int],
    count: int,
    vocabulary: int,
    found: Callable[[list[Logprobs]], None],
) -> Iterator[None]:
    """Works in pieces, each of which takes about as long as a step.

    count: how many of the likeliest tokens are given with each. found: called at the end with the logprobs of all
    tokens but the first, of which the model says nothing.
    """
    logprobs: list[Logprobs] = []
    cache = None
    for begin in range(0, len(ids), _TOKENS_AT_ONCE):
        end = begin + _TOKENS_AT_ONCE
        following = torch.tensor(ids[begin + 1 : end + 1], device=model.device)
        with torch.inference_mode():
            piece = torch.tensor([ids[begin:end]], device=model.device)
            output = model(input_ids=piece, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            every = output.logits[0, : len(following), :vocabulary].float().log_softmax(dim=-1)
            logprobs += logprobs_of(every, following, count)
        yield
    found(logprobs)
