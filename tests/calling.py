"""Callers who ask again and again, each by itself, until they are told to stop."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

from tests.waiting import PATIENCE, wait_until

_Outcome = TypeVar("_Outcome")


class Callers(Generic[_Outcome]):
    """outcomes: of all calls that have ended, as the callers say."""

    def __init__(self) -> None:
        self.outcomes: Counter[_Outcome] = Counter()
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def wait_for_more(self, num_calls: int, patience: float = PATIENCE) -> None:
        enough = self.outcomes.total() + num_calls
        wait_until(lambda: self.outcomes.total() >= enough, patience)

    def call_on(self, caller: AbstractContextManager[Callable[[], _Outcome]], pause: float) -> None:
        with caller as ask:
            while not self._is_over.wait(pause):
                outcome = ask()
                with self._lock:
                    self.outcomes[outcome] += 1

    def stop(self) -> None:
        self._is_over.set()


@contextmanager
def calling(
    each: Sequence[AbstractContextManager[Callable[[], _Outcome]]], pause: float = 0
) -> Iterator[Callers[_Outcome]]:
    """A caller is entered in its own thread, and gives what makes one call and says what came of it.

    pause: seconds before each call.
    """
    callers = Callers[_Outcome]()
    threads = [threading.Thread(target=callers.call_on, args=(caller, pause)) for caller in each]
    for thread in threads:
        thread.start()
    try:
        yield callers
    finally:
        callers.stop()
        for thread in threads:
            thread.join()
