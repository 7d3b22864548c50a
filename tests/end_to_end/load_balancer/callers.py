"""Callers with connections that they keep, who try nothing twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tests.waiting import PATIENCE, wait_until

NUM_CALLERS = 16


@dataclass
class Callers:
    url: str
    num_answers: int = 0
    failures: list[str] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for_more(self, num_answers: int) -> None:
        enough = self.num_answers + num_answers
        wait_until(lambda: self.num_answers >= enough or bool(self.failures))

    def run(self) -> None:
        with requests.Session() as session:
            while not self._is_over.is_set():
                self._ask(session)

    def _ask(self, session: requests.Session) -> None:
        try:
            answer = session.post(
                f"{self.url}/generate", json={"prompt": "Once", "max_length": 2}, timeout=(PATIENCE, 600)
            )
        except requests.RequestException as error:
            failure: str | None = repr(error)
        else:
            failure = None if answer.status_code == requests.codes.ok else f"{answer.status_code} {answer.text}"
        with self._lock:
            self.num_answers += 1
            if failure is not None:
                self.failures.append(failure)

    def stop(self) -> None:
        self._is_over.set()


@contextmanager
def calling(url: str) -> Iterator[Callers]:
    callers = Callers(url)
    threads = [threading.Thread(target=callers.run) for _ in range(NUM_CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield callers
    finally:
        callers.stop()
        for thread in threads:
            thread.join()
