"""Logprobs of the engine as the contract tells them: with the text of each token."""

from adapter.schema import TokenLogprob, TopLogprob
from handlers.detokenization import TokenDecoder
from handlers.logprobs import Logprobs


def told(decoder: TokenDecoder, token_id: int, logprobs: Logprobs) -> TokenLogprob:
    pairs = zip(logprobs.top_ids, logprobs.top, strict=True)
    top = tuple(_one(decoder, each, logprob) for each, logprob in pairs)
    return TokenLogprob(**_one(decoder, token_id, logprobs.taken).model_dump(), top=top)


def _one(decoder: TokenDecoder, token_id: int, logprob: float) -> TopLogprob:
    content = decoder.bytes_of(token_id)
    return TopLogprob(id=token_id, token=content.decode(errors="replace"), bytes=tuple(content), logprob=logprob)
