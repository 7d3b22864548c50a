"""Chat completions as a client of OpenAI's sends and reads them: questions that were never asked before, streamed."""

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from benchmarks.closed_loop import Answer

Body = dict[str, Any]
OUTPUT_TOKENS = (24, 96)  # most of an answer, which may end before
_TEXT = re.compile(rb'"content":\s*"[^"]')
_TASKS = (
    "Write a short story about a {} who finds a {} near the {}, and say how the {} of the village takes the news.",
    "Explain to a child how a {} works, why a {} is not the same thing, and what both have to do with a {} and a {}.",
    "List three reasons why a {} might need a {} on a journey to the {}, with one sentence about a {} for each.",
    "A {} and a {} argue about the price of a {}. Write what they say, and let a {} decide who of them is right.",
)
_THINGS = (
    *("baker", "river", "lantern", "clock", "teacher", "violin", "bridge", "garden", "captain", "letter", "mountain"),
    *(
        "window",
        "doctor",
        "market",
        "compass",
        "painter",
        "island",
        "bicycle",
        "forest",
        "librarian",
        "kettle",
        "train",
    ),
    *("farmer", "castle", "telescope", "carpenter", "harbour", "blanket", "engine", "postman", "tower", "basket"),
)


def questions(count: int, seed: int) -> list[tuple[str, int]]:
    """Messages of 40 to 60 tokens and the most tokens of their answers. Other seeds give other questions."""
    generator = random.Random(seed)  # noqa: S311 - no secret
    shortest, longest = OUTPUT_TOKENS
    lengths = [round(shortest + (longest - shortest) * (index + 0.5) / count) for index in range(count)]
    generator.shuffle(lengths)
    # A number at the start: neither an answer nor the beginning of a prompt is known from before.
    return [
        (f"Number {generator.randrange(10**6)}. {generator.choice(_TASKS).format(*generator.sample(_THINGS, 4))}", most)
        for most in lengths
    ]


def body_for(model: str) -> Callable[[str, int], Body]:
    def body(question: str, most_tokens: int) -> Body:
        return {
            "model": model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": most_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    return body


async def read_chat(response: aiohttp.ClientResponse) -> Answer:
    """Only the end is parsed, so that reading costs the measured ones little."""
    received, first_token_at = bytearray(), None
    async for chunk in response.content.iter_any():
        received += chunk
        if first_token_at is None and _TEXT.search(received):
            first_token_at = time.perf_counter()
    with_usage = [line for line in received.splitlines() if b'"completion_tokens"' in line]
    if not with_usage:
        raise RuntimeError(f"{response.url} ended with {bytes(received[-500:])!r}")
    usage = json.loads(with_usage[-1].removeprefix(b"data: "))["usage"]
    return Answer(int(usage["completion_tokens"]), first_token_at)
