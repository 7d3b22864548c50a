"""Lets an engine decode in a thread of its own, ahead of whoever collects its tokens, but not without bound.

TorchServe calls the handler again at once while requests are live, so silence means that every client has left or
that the JVM stalls. Nobody can tell which, so the engine pauses: it goes on with the next call, and forgets its
requests when none comes.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from handlers.engine import Engine, Step
from handlers.sampling import SamplingParameters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of `ids` for a reason not their own: the engine failed, or (TimeoutError) nobody asked for them."""

    ids: Collection[str]
    error: Exception


class RunAhead:
    """
    max_uncollected: steps that may wait to be collected.
    silence: seconds without a call after which decoding pauses.
    abandon: seconds without a call after which every request is forgotten.
    """

    def __init__(
        self, engine: Engine, *, max_uncollected: int = 64, silence: float = 0.25, abandon: float = 30.0
    ) -> None:
        self._engine = engine
        self._max_uncollected, self._silence, self._abandon = max_uncollected, silence, abandon
        self._changed = threading.Condition()
        self._commands: deque[Callable[[], None]] = deque()  # for the engine's thread alone to carry out
        self._news: list[Step | Failure] = []
        self._is_urgent = False  # whether there is news that should not wait
        self._live: set[str] = set()
        self._awaited: set[str] = set()  # those of them whose first token somebody waits for
        self._last_call = time.monotonic()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        request_id: str,
        prompt: Sequence[int],
        max_new_tokens: int,
        parameters: SamplingParameters,
        *,
        is_awaited: bool = True,
    ) -> None:
        """`is_awaited` makes its first token urgent."""
        with self._changed:
            self._live.add(request_id)
            if is_awaited:
                self._awaited.add(request_id)
            self._commands.append(lambda: self._engine.submit(request_id, prompt, max_new_tokens, parameters))
            self._touch()

    def keep_only(self, ids: Collection[str]) -> None:
        """Ends every request that is not among `ids`."""
        with self._changed:
            for gone in self._live.difference(ids):
                self._live.discard(gone)
                self._awaited.discard(gone)
                self._commands.append(lambda gone=gone: self._engine.cancel(gone))  # type: ignore[misc]
            self._touch()

    def collect(self, timeout: float, patience: float = 0.0) -> list[Step | Failure]:
        """What has happened since the last call.

        Waits `patience` seconds for more of it to come together, unless some is urgent: an awaited first token, an end,
        a failure. Then waits for the first of it, until `timeout` seconds are over in all.
        """
        with self._changed:
            self._touch()
            if self._live:
                self._changed.wait_for(lambda: self._is_urgent, patience)
                self._changed.wait_for(lambda: self._news, timeout - patience)
            news, self._news, self._is_urgent = self._news, [], False
            for item in news:
                self._live.difference_update(item.ended if isinstance(item, Step) else item.ids)
            self._touch()
        return news

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _touch(self) -> None:
        self._last_call = time.monotonic()
        self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_closed:
            try:
                step = self._engine.step() if self._await_turn() else None
            except Exception as failure:
                logger.exception("the engine failed; its requests end")
                self._add_news(Failure(self._engine.cancel_all(), failure))
            else:
                if step is not None:
                    self._add_news(step)

    def _await_turn(self) -> bool:
        """Waits until there is a step to run; false when closed."""
        with self._changed:
            while not self._is_closed:
                while self._commands:
                    self._commands.popleft()()
                silent_for = time.monotonic() - self._last_call
                if not self._engine.has_work:
                    self._changed.wait()
                elif silent_for >= self._abandon:
                    forgotten = self._engine.cancel_all()
                    logger.warning("nobody has asked for %d requests in %.0f s; they end", len(forgotten), silent_for)
                    self._news.append(Failure(forgotten, TimeoutError("nobody collected the answer in time")))
                elif silent_for >= self._silence or len(self._news) >= self._max_uncollected:
                    self._changed.wait(timeout=self._abandon - silent_for)
                else:
                    return True
            return False

    def _add_news(self, item: Step | Failure) -> None:
        with self._changed:
            self._news.append(item)
            self._is_urgent |= isinstance(item, Failure) or bool(item.ended) or not self._awaited.isdisjoint(item.ids)
            if self._is_urgent:
                self._awaited.difference_update(item.ids)
            if self._is_urgent or len(self._news) == 1:  # else whoever waits waits for neither
                self._changed.notify_all()
