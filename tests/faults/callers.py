"""Callers who know what they should be told: each call is right, failed and says so, lost, or wrong."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from adapter.client.errors import AnswerBroken, StreamTruncated, TimedOut
from adapter.errors import TorchbridgeError
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until
from torchbridge import GatewayClient

NUM_CALLERS = 8
_LENGTH = 40
PROMPTS = tuple(f"Once upon a time there was a {animal}" for animal in ("fox", "dog", "cat", "hen", "cow"))


class Fate(StrEnum):
    RIGHT = "right"
    FAILED = "failed"  # with a problem that has a code
    LOST = "lost"  # without an end: nobody can tell what became of it
    WRONG = "wrong"  # another text than without a fault


class Callers:
    """Half of them stream. They try nothing again, and the server keeps no answers."""

    def __init__(self, url: str, expected: Mapping[str, str]) -> None:
        self._url, self._expected = url, expected
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self.fates: Counter[Fate] = Counter()

    def wait_for_more(self, calls: int = 2 * NUM_CALLERS) -> None:
        enough = self.fates.total() + calls
        wait_until(lambda: self.fates.total() >= enough, PATIENCE_WITH_WORKERS)

    def run(self, number: int) -> None:
        with GatewayClient(self._url, max_retries=0) as client:
            turn = number
            while not self._is_over.is_set():
                prompt = PROMPTS[turn % len(PROMPTS)]
                fate = self._fate(client, prompt, is_streamed=number % 2 == 0)
                with self._lock:
                    self.fates[fate] += 1
                turn += 1

    def stop(self) -> None:
        self._is_over.set()

    def _fate(self, client: GatewayClient, prompt: str, *, is_streamed: bool) -> Fate:
        try:
            text = ask(client, prompt, is_streamed=is_streamed)
        except (AnswerBroken, StreamTruncated, TimedOut):
            return Fate.LOST
        except TorchbridgeError:
            return Fate.FAILED
        return Fate.RIGHT if text == self._expected[prompt] else Fate.WRONG


def ask(client: GatewayClient, prompt: str, *, is_streamed: bool = False) -> str:
    """Always the same text: the likeliest tokens."""
    asked = {"prompt": prompt, "max_length": _LENGTH, "temperature": 0}
    if not is_streamed:
        return client.generate_text(**asked).text
    with client.stream_text(**asked) as stream:
        return "".join(event.text for event in stream if event.type == "delta")


@contextmanager
def calling(url: str) -> Iterator[Callers]:
    with GatewayClient(url) as client:
        expected = {prompt: ask(client, prompt) for prompt in PROMPTS}
    callers = Callers(url, expected)
    threads = [threading.Thread(target=callers.run, args=(number,)) for number in range(NUM_CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield callers
    finally:
        callers.stop()
        for thread in threads:
            thread.join()
