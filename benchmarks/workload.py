"""Mixed requests: short and long prompts, short and long answers, and no two of them begin alike."""

import random
from typing import NamedTuple

from benchmarks.random_models import SIZES, word

OUTPUT_TOKENS, PROMPT_TOKENS = (16, 256), (8, 512)  # from the shortest to the longest
_WORDS = min(size.vocabulary for size in SIZES.values())


class Request(NamedTuple):
    prompt: str
    max_length: int


def workload(
    count: int,
    seed: int,
    *,
    output_tokens: tuple[int, int] = OUTPUT_TOKENS,
    prompt_tokens: tuple[int, int] = PROMPT_TOKENS,
    reader: str = "",
) -> list[Request]:
    """Requests whose lengths are spread evenly over the logarithms of the two ranges.

    With each seed the lengths are the same ones, paired and ordered anew, and the words are others: no cache of an
    answer or of a prompt's beginning helps anyone, and each round is as much work as the others. Two readers of one
    seed get the same lengths in the same order, and other words: where they ask the same server, it knows none of them.
    """
    generator = random.Random(seed)  # noqa: S311 - no secret
    words = random.Random(f"{reader} {seed}")  # noqa: S311
    outputs, prompts = _lengths(count, *output_tokens), _lengths(count, *prompt_tokens)
    generator.shuffle(outputs)
    generator.shuffle(prompts)
    return [
        Request(" ".join(word(words.randrange(_WORDS)) for _ in range(prompt)), output)
        for prompt, output in zip(prompts, outputs, strict=True)
    ]


def _lengths(count: int, shortest: int, longest: int) -> list[int]:
    return [round(shortest * (longest / shortest) ** ((index + 0.5) / count)) for index in range(count)]
