"""Logprobs of the engine as the contract has them, with the text of each token."""

from collections.abc import Sequence

from adapter.schema import PromptLogprob, TokenLogprob, TokenText, TopLogprob
from handlers.detokenization import TokenDecoder
from handlers.logprobs import Logprobs


def token_logprob(decoder: TokenDecoder, token_id: int, logprobs: Logprobs) -> TokenLogprob:
    pairs = zip(logprobs.top_ids, logprobs.top, strict=True)
    top = tuple(_one(decoder, each, logprob) for each, logprob in pairs)
    return TokenLogprob(**_one(decoder, token_id, logprobs.taken).model_dump(), top=top)


def unknown_logprob(decoder: TokenDecoder, token_id: int) -> TokenLogprob:
    """Stands for a token of another worker, of which the text is known and no more."""
    return TokenLogprob(**_text(decoder, token_id).model_dump(), logprob=0.0, top=())


def logprobs_of_prompt(
    decoder: TokenDecoder, ids: Sequence[int], found: Sequence[Logprobs]
) -> tuple[PromptLogprob, ...]:
    """The logprobs of a prompt. found: of all tokens of the prompt but the first."""
    first = PromptLogprob(**_text(decoder, ids[0]).model_dump(), logprob=None, top=())
    rest = (token_logprob(decoder, token, logprobs) for token, logprobs in zip(ids[1:], found, strict=True))
    return (first, *(PromptLogprob(**dict(each)) for each in rest))


def _one(decoder: TokenDecoder, token_id: int, logprob: float) -> TopLogprob:
    return TopLogprob(**_text(decoder, token_id).model_dump(), logprob=logprob)


def _text(decoder: TokenDecoder, token_id: int) -> TokenText:
    """A special token has a name, and adds nothing to a text."""
    if (name := decoder.special_tokens.get(token_id)) is not None:
        return TokenText(id=token_id, token=name, bytes=())
    content = decoder.bytes_of(token_id)
    return TokenText(id=token_id, token=content.decode(errors="replace"), bytes=tuple(content))
