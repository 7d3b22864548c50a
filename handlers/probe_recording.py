"""Records how a model answers where it is packed: the same record on every machine, as far as arithmetic allows.

In float32 and on one thread, as rounded log-probabilities and only those tokens that lead clearly: a processor's own
order of additions makes 0.00005 nats at most, which changes a rounded number in less than one archive of a hundred.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch

from adapter.probes import Probe, Probes
from handlers.detokenization import Detokenizer, TokenDecoder
from handlers.engine import Engine
from handlers.model_loading import LoadedModel
from handlers.probe_check import in_tenths, log_probabilities, next_log_probabilities
from handlers.sampling import SamplingParameters
from handlers.tokenization import PromptEncodingError, encode_prompt

_PROMPTS = (
    "Once upon a time",
    "The quick brown fox jumps over the lazy",
    "def add(a, b):\n    return",
    "1, 2, 3, 4, 5, 6,",
)
_MOST_OWN_PROMPTS = 4
_REQUEST = "probe"
_MAX_NEW_TOKENS = 32
# Nats by which the likeliest token leads. The largest lead that bfloat16 was seen to turn round is 0.30 with random
# weights that amplify errors, and none with trained ones.
_LEAST_LEAD = 0.5
# By so little less the engine's own lead is not another one than the model's, which decides.
_SURELY_NO_LEAD = 0.4


def record_probes(loaded: LoadedModel) -> Probes:
    """Leaves the model in float32. A prompt that does not fit into the context is left out, and one that the tokenizer
    cannot write. If none is left, as with a tokenizer for DNA, the prompts are texts of its own vocabulary.
    """
    model = loaded.model.float()
    engine = Engine(model, loaded.stop_token_ids, slots=1, context_length=loaded.context_length)
    prompts = _written(_PROMPTS, loaded) or _written(_own_texts(loaded), loaded, _MOST_OWN_PROMPTS)
    with _one_thread():
        probes = [_record(prompt, prompt_tokens, engine, loaded) for prompt, prompt_tokens in prompts.items()]
    return Probes(probes=tuple(probes))


def _written(prompts: Iterable[str], loaded: LoadedModel, most: int | None = None) -> dict[str, list[int]]:
    """The tokens of the first prompts that the model can be asked."""
    tokens = ((prompt, _encode(prompt, loaded)) for prompt in prompts)
    return dict(islice(((prompt, ids) for prompt, ids in tokens if 1 <= len(ids) < loaded.context_length), most))


def _own_texts(loaded: LoadedModel) -> Iterator[str]:
    """The text of each token that is no special one."""
    for token_id in range(len(loaded.tokenizer)):
        text = loaded.tokenizer.decode([token_id])
        if token_id not in loaded.tokenizer.all_special_ids and isinstance(text, str) and text:
            yield text


def _encode(prompt: str, loaded: LoadedModel) -> list[int]:
    try:
        return encode_prompt(loaded.tokenizer, prompt)
    except PromptEncodingError:
        return []


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads could each add up a part of a sum."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _record(prompt: str, prompt_tokens: list[int], engine: Engine, loaded: LoadedModel) -> Probe:
    answer_tokens = _greedy_tokens(engine, prompt_tokens)
    answer_tokens = answer_tokens[: _num_clear(prompt_tokens, answer_tokens, loaded)]
    is_stopped = bool(answer_tokens) and answer_tokens[-1] in loaded.stop_token_ids
    visible = answer_tokens[:-1] if is_stopped else answer_tokens
    answer, num_tokens = _whole_characters(Detokenizer(TokenDecoder(loaded.tokenizer), prompt_tokens), visible)
    if num_tokens < len(visible):
        answer_tokens, is_stopped = answer_tokens[:num_tokens], False
    return Probe(
        prompt=prompt,
        prompt_tokens=tuple(prompt_tokens),
        answer=answer,
        answer_tokens=tuple(answer_tokens),
        finish_reason="stop" if is_stopped else "length",
        log_probabilities=in_tenths(log_probabilities(loaded.model, [*prompt_tokens, *answer_tokens])),
    )


def _greedy_tokens(engine: Engine, prompt_tokens: Sequence[int]) -> list[int]:
    """At least up to the first one that does not lead clearly: it and all behind it will be left out."""
    engine.submit(_REQUEST, prompt_tokens, _MAX_NEW_TOKENS, SamplingParameters(logprobs=2))
    tokens: list[int] = []
    while engine.has_work:
        if (step := engine.step()) is not None:
            tokens += step.tokens
            likeliest, second = step.logprobs[_REQUEST].top
            if likeliest - second < _SURELY_NO_LEAD:
                engine.cancel(_REQUEST)
    return tokens


def _num_clear(prompt_tokens: Sequence[int], answer_tokens: Sequence[int], loaded: LoadedModel) -> int:
    """How many tokens of the answer are the likeliest by so much that any arithmetic finds them so."""
    following = next_log_probabilities(loaded.model, [*prompt_tokens, *answer_tokens])
    likeliest = following[len(prompt_tokens) - 1 : -1].topk(2)
    leads = likeliest.values[:, 0] - likeliest.values[:, 1]
    is_clear = (leads >= _LEAST_LEAD) & (likeliest.indices[:, 0] == torch.tensor(answer_tokens))
    return int(is_clear.cumprod(dim=0).sum())


def _whole_characters(detokenizer: Detokenizer, tokens: Sequence[int]) -> tuple[str, int]:
    """The text up to the last token that ends with a character, and the number of tokens up to there."""
    text, whole, num_tokens = "", "", 0
    for count, token in enumerate(tokens, start=1):
        text += detokenizer.push(token)
        if not detokenizer.is_within_character:
            whole, num_tokens = text, count
    return whole, num_tokens
