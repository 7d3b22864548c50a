"""One attempt at its version: how long we waited for the version, and whether it failed."""

import time
from collections.abc import Callable
from contextlib import aclosing
from typing import NamedTuple

from adapter.call import Arrivals
from adapter.schema import DeltaEvent, DoneEvent, StreamEvent


class Duration(NamedTuple):
    seconds: float
    is_whole: bool  # otherwise it takes that long at least


class TimedAttempt:
    """Begins when the request is handed to the version's worker, after our queue, a hold and the cache.

    Only the waits for what comes next count: a caller that is slow to read makes no version slower.
    """

    def __init__(self, max_tokens: int, on_begin: "Callable[[TimedAttempt], None]") -> None:
        self._max_tokens = max_tokens
        self._on_begin = on_begin
        self.has_begun = False
        self.is_over = False
        self.has_failed = False  # by what came from the version, and not because somebody cut it short
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._first_text: float | None = None
        self._num_tokens: int | None = None

    async def take(self, arrivals: Arrivals) -> Arrivals:
        """Passes on `arrivals`, the version's events."""
        self.has_begun = True
        self._on_begin(self)
        try:
            async with aclosing(arrivals):
                while (events := await self._next(arrivals)) is not None:
                    yield events
        finally:
            self.is_over = True

    @property
    def waited(self) -> float:
        """Seconds that the version was waited for, up to now."""
        return self._waited + (0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since)

    @property
    def first_token(self) -> Duration:
        if self._first_text is None:
            return Duration(self.waited, is_whole=False)
        return Duration(self._first_text, is_whole=True)

    @property
    def per_token(self) -> Duration:
        """The time of each token after the first. It is not known if there is but one, or if all came together."""
        num_tokens = self._max_tokens if self._num_tokens is None else self._num_tokens
        if self._first_text is None or num_tokens <= 1:
            return Duration(0.0, is_whole=False)
        seconds = (self.waited - self._first_text) / (num_tokens - 1)
        return Duration(seconds, is_whole=self._num_tokens is not None and seconds > 0)

    async def _next(self, arrivals: Arrivals) -> list[StreamEvent] | None:
        self._waiting_since = time.monotonic()
        try:
            events = await anext(arrivals, None)
        except Exception:
            self.has_failed = True
            raise
        finally:
            self._waited, self._waiting_since = self.waited, None
        self.has_failed = events is None and self._num_tokens is None
        for event in events or ():
            self._note(event)
        return events

    def _note(self, event: StreamEvent) -> None:
        if self._first_text is None and isinstance(event, DeltaEvent | DoneEvent):
            self._first_text = self._waited
        if isinstance(event, DoneEvent):
            self._num_tokens = event.response.tokens_generated
