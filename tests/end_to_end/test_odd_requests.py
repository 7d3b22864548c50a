"""Models of unlike tokenizers, and random requests to all of them, 16 at once: each gets what it gets alone.

`make soak` has ten of them and 20,000 requests, else there are three, whose texts become tokens in unlike ways.
"""

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapter.archives.archive import build_archive
from tests.end_to_end.odd_requests import OddRequest, Outcome, outcome_of, random_request
from tests.end_to_end.own_stack import running_gateway
from tests.tokenizer_families import CHATML, save_random_model

EVERY_MODEL = "TORCHBRIDGE_TEST_REQUESTS" in os.environ
NUM_REQUESTS = int(os.environ.get("TORCHBRIDGE_TEST_REQUESTS", "200"))
AT_ONCE = 16
# Of one pair of models: so there is company in their batches.
REQUESTS_OF_A_PAIR = 100
# The tokenizer's family, the model's architecture, and whether there is a chat template.
MODELS = {
    "bytes-chat": ("byte_level", "llama", CHATML),
    "llama2-chat": ("llama2", "llama", CHATML),
    "unigram": ("unigram_without_unknown", "gpt2", None),
}
if EVERY_MODEL:
    MODELS |= {
        "wordpiece": ("wordpiece", "gpt2", None),
        "words-chat": ("word_level", "llama", CHATML),
        "bytes": ("byte_level", "gpt2", None),
        "llama2": ("llama2", "llama", None),
        "gemma-chat": ("gemma", "llama", CHATML),
        "phi3-chat": ("phi3", "llama", CHATML),
        "unigram-chat": ("unigram_with_byte_fallback", "llama", CHATML),
    }
EARNED = {"invalid_request", "prompt_too_long"}


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("odd")
    with running_gateway(_archives(directory), directory / "run") as url:
        yield url


def _archives(directory: Path) -> list[Path]:
    archives = []
    for name, (family, architecture, chat_template) in MODELS.items():
        model = directory / name
        save_random_model(model, family, architecture=architecture, chat_template=chat_template)
        archives.append(build_archive(model, name, "1.0", directory / "store"))
    return archives


def random_requests(count: int) -> list[OddRequest]:
    chance = random.Random(20)  # the same ones in every run
    pairs = [chance.sample(sorted(MODELS), 2) for _ in range(0, count, REQUESTS_OF_A_PAIR)]
    return [random_request(chance, chance.choice(pairs[number // REQUESTS_OF_A_PAIR])) for number in range(count)]


async def outcomes(url: str, requests: list[OddRequest], at_once: int) -> list[Outcome]:
    """In the order of `requests`, of which `at_once` run at any time."""
    places = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=None)) as client:

        async def ask(request: OddRequest) -> Outcome:
            async with places:
                return await outcome_of(client, request)

        return await asyncio.gather(*map(ask, requests))


async def alone(url: str, requests: list[OddRequest]) -> list[Outcome]:
    """Each with no other in its model's batch; the models do not know of each other."""
    of_model = {name: [request for request in requests if request.body["model"] == name] for name in MODELS}
    got = await asyncio.gather(*(outcomes(url, own, at_once=1) for own in of_model.values()))
    by_identity = {
        id(request): outcome
        for own, several in zip(of_model.values(), got, strict=True)
        for request, outcome in zip(own, several, strict=True)
    }
    return [by_identity[id(request)] for request in requests]


async def test_a_request_gets_beside_others_what_it_gets_alone(gateway_url: str) -> None:
    requests = random_requests(NUM_REQUESTS)
    together = await outcomes(gateway_url, requests, AT_ONCE)
    by_themselves = await alone(gateway_url, requests)
    failed = [
        (request, outcome)
        for request, outcome in zip(requests, together, strict=True)
        if outcome.text is None and (outcome.end not in EARNED or request.is_ordinary)
    ]
    assert failed == []
    assert sum(outcome.text is None for outcome in together) < NUM_REQUESTS / 3
    differing = [
        (request, beside_others, own)
        for request, beside_others, own in zip(requests, together, by_themselves, strict=True)
        if beside_others != own and (request.is_deterministic or None in (beside_others.text, own.text))
    ]
    assert differing == []
