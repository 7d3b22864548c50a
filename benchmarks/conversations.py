"""Conversations of several turns, each prompt the one before with its answer and new words behind it."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp

from benchmarks.random_models import SIZES, word

TURNS, FIRST_WORDS, NEW_WORDS, ANSWER_TOKENS = 5, 256, 32, 24
# On average. Without, a user's next turn would meet the host that its last one has just left, and which has the fewest.
SECONDS_BETWEEN_TURNS = 2.0
_WORDS = SIZES["25M"].vocabulary
_FIRST_TOKEN = b'"type":"delta"'
_LONGEST_ANSWER = 300  # seconds


class Turn(NamedTuple):
    number: int
    first_token: float  # seconds
    prompt_tokens: int


async def converse(url: str, users: Sequence[str]) -> list[Turn]:
    """One conversation for each user, all at once. No two of them begin alike, whoever the users are."""
    timeout = aiohttp.ClientTimeout(total=_LONGEST_ANSWER)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        taken = await asyncio.gather(*(_conversation(session, url, user) for user in users))
    return [turn for turns in taken for turn in turns]


async def _conversation(session: aiohttp.ClientSession, url: str, user: str) -> list[Turn]:
    generator = random.Random(user)  # noqa: S311 - prompts
    prompt, turns = _words(generator, FIRST_WORDS), []
    for number in range(TURNS):
        await asyncio.sleep(generator.expovariate(1 / SECONDS_BETWEEN_TURNS))
        turn, text = await _ask(session, url, user, prompt, number)
        turns.append(turn)
        prompt = f"{prompt} {text.strip()} {_words(generator, NEW_WORDS)}"
    return turns


async def _ask(session: aiohttp.ClientSession, url: str, user: str, prompt: str, number: int) -> tuple[Turn, str]:
    body = {"prompt": prompt, "max_length": ANSWER_TOKENS, "temperature": 0}
    sent_at, first_token_at, received = time.perf_counter(), None, bytearray()
    async with session.post(f"{url}/generate/stream", json=body, headers={"x-user": user}) as response:
        response.raise_for_status()
        async for chunk in response.content.iter_any():
            received += chunk
            if first_token_at is None and _FIRST_TOKEN in received:
                first_token_at = time.perf_counter()
    answer = _answer(bytes(received))
    if first_token_at is None:
        raise RuntimeError(f"{url} gave no token")
    return Turn(number, first_token_at - sent_at, int(answer["prompt_tokens"])), str(answer["text"])


def _answer(received: bytes) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(received.rstrip().rpartition(b"data: ")[2] or b"{}")
    if event.get("type") != "done":
        raise RuntimeError(f"an answer ended with {received[-500:]!r}")
    answer: dict[str, Any] = event["response"]
    return answer


def _words(generator: random.Random, count: int) -> str:
    return " ".join(word(generator.randrange(_WORDS)) for _ in range(count))
