"""Clients that ask one request after the other, whole answers and streams, while something is done to the server."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapter.client import GatewayClient
from adapter.schema import DoneEvent
from tests.waiting import wait_until

NUM_CLIENTS = 8
# Seconds before a client asks again: what is done to the server has the rest of the machine. `make soak` leaves none.
PAUSE = 0.0 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 0.1


@dataclass(frozen=True)
class Answered:
    began_at: float  # time.monotonic(), before the request left
    ended_at: float
    version: str
    text: str


@dataclass
class ConstantLoad:
    url: str
    request: dict[str, Any]
    pause: float = PAUSE
    answers: list[Answered] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, num_answers: int) -> None:
        """Or for the first failure, which there should not be."""
        wait_until(lambda: len(self.answers) >= num_answers or bool(self.failures))

    def wait_for_answers(self, num_answers: int) -> None:
        wait_until(lambda: len(self.answers) >= num_answers)

    def versions(self) -> set[str]:
        return {answer.version for answer in self.answers}

    def run(self, is_streaming: bool) -> None:
        client = GatewayClient(self.url, max_retries=0, trust_env=False)  # a failure is what it looks for
        while not self._is_over.wait(self.pause):
            began_at = time.monotonic()
            try:
                response = self._stream(client) if is_streaming else client.generate_text(**self.request)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
                self.failures.append(error)
            else:
                self.answers.append(Answered(began_at, time.monotonic(), response.model_version, response.text))

    def _stream(self, client: GatewayClient) -> Any:
        with client.stream_text(**self.request) as events:
            *_, last = events
        assert isinstance(last, DoneEvent)
        return last.response

    def stop(self) -> None:
        self._is_over.set()


@contextmanager
def constant_load(url: str, *, pause: float = PAUSE, **request: Any) -> Iterator[ConstantLoad]:
    """pause: 0 where what is done to the server takes a number of answers."""
    load = ConstantLoad(url, {"prompt": "Once", "max_length": 2, **request}, pause)
    kinds = itertools.islice(itertools.cycle([False, True]), NUM_CLIENTS)
    clients = [threading.Thread(target=load.run, args=(is_streaming,)) for is_streaming in kinds]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.stop()
        for client in clients:
            client.join()
