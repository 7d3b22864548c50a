"""Finds out that a TorchServe of our own stands still: its process lives, but nobody in it answers."""

import threading
import time
from typing import Self

import requests

# Seconds that a look may take: a Java that collects its garbage, or waits for a processor, does not stand still.
_LEAST_PATIENCE, _MOST_PATIENCE = 2.0, 5.0
_LEAST_MISSES = 4  # one after the other, unless the limit is shorter than they take
_LOOKS_UNTIL_WE_STALLED = 2  # a look that took as long as so many may take: it was we who stood still


class SilenceWatch:
    """Looks from a thread of its own, inside of `with`.

    Only seconds count in which it looked and got no answer: none of those in which the machine was suspended, or had
    no time for this process.
    """

    def __init__(self, inference_url: str, limit: float) -> None:
        self._url = f"{inference_url}/ping"  # any answer will do: that it is "Healthy" says nothing of the workers
        self._limit = limit
        self._longest_look = min(_MOST_PATIENCE, max(_LEAST_PATIENCE, limit / _LEAST_MISSES))
        self._silent_for = 0.0
        self._end = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._look_on, name="silence watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()

    @property
    def is_silent(self) -> bool:
        """Whether there was no answer for `limit` seconds, or in one look where that is shorter."""
        return self._silent_for >= self._limit

    def _look_on(self) -> None:
        pause = 0.0
        while not self._end.wait(pause):
            began_at = time.monotonic()
            if self._answers():
                self._silent_for = 0
            elif time.monotonic() - began_at < _LOOKS_UNTIL_WE_STALLED * self._longest_look:
                self._silent_for += self._longest_look
            pause = max(0.0, self._longest_look - (time.monotonic() - began_at))

    def _answers(self) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy has no business within this machine
                session.get(self._url, timeout=self._longest_look)
        except requests.RequestException:
            return False
        return True
