"""Callers who know what they should be told: each call is right, failed and says so, lost, or wrong."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle

from adapter.client.errors import AnswerBroken, StreamTruncated, TimedOut
from adapter.errors import TorchbridgeError
from tests.calling import Callers, calling
from tests.faults.record import Fate
from torchbridge import GatewayClient

NUM_CALLERS = 8
_LENGTH = 40
PROMPTS = tuple(f"Once upon a time there was a {animal}" for animal in ("fox", "dog", "cat", "hen", "cow"))


def calling_who_know(url: str) -> AbstractContextManager[Callers[Fate]]:
    """Half of them stream. They try nothing again, and the server keeps no answers."""
    with GatewayClient(url) as client:
        expected = {prompt: ask(client, prompt) for prompt in PROMPTS}
    return calling([_caller(url, expected, number) for number in range(NUM_CALLERS)])


@contextmanager
def _caller(url: str, expected: Mapping[str, str], number: int) -> Iterator[Callable[[], Fate]]:
    first = number % len(PROMPTS)
    prompts = cycle(PROMPTS[first:] + PROMPTS[:first])
    with GatewayClient(url, max_retries=0) as client:
        yield lambda: _fate(client, next(prompts), expected, is_streamed=number % 2 == 0)


def _fate(client: GatewayClient, prompt: str, expected: Mapping[str, str], *, is_streamed: bool) -> Fate:
    try:
        text = ask(client, prompt, is_streamed=is_streamed)
    except (AnswerBroken, StreamTruncated, TimedOut):
        return Fate.LOST
    except TorchbridgeError:
        return Fate.FAILED
    return Fate.RIGHT if text == expected[prompt] else Fate.WRONG


def ask(client: GatewayClient, prompt: str, *, is_streamed: bool = False) -> str:
    """Always the same text: the likeliest tokens."""
    asked = {"prompt": prompt, "max_length": _LENGTH, "temperature": 0}
    if not is_streamed:
        return client.generate_text(**asked).text
    with client.stream_text(**asked) as stream:
        return "".join(event.text for event in stream if event.type == "delta")
