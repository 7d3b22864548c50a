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

from handlers.engine import Engine, Step
from handlers.sampling import SamplingParameters

logger = logging.getLogger(__name__)


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
        self._steps: list[Step] = []
        self._live: set[str] = set()
        self._failure: Exception | None = None
        self._last_call = time.monotonic()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self, request_id: str, prompt: Sequence[int], max_new_tokens: int, parameters: SamplingParameters
    ) -> None:
        with self._changed:
            self._live.add(request_id)
            self._commands.append(lambda: self._engine.submit(request_id, prompt, max_new_tokens, parameters))
            self._touch()

    def keep_only(self, ids: Collection[str]) -> None:
        """Ends every request that is not among `ids`."""
        with self._changed:
            for gone in self._live.difference(ids):
                self._live.discard(gone)
                self._commands.append(lambda gone=gone: self._engine.cancel(gone))  # type: ignore[misc]
            self._touch()

    def is_live(self, request_id: str) -> bool:
        """Whether the engine still owes tokens to this request: false once it ended, failed or was forgotten."""
        with self._changed:
            return request_id in self._live

    def collect(self, timeout: float) -> list[Step]:
        """The steps since the last call; waits up to `timeout` seconds for the first.

        Raises what the engine failed with, once; every request that was live is then gone.
        """
        with self._changed:
            self._touch()
            self._changed.wait_for(lambda: self._steps or self._failure, timeout if self._live else 0)
            self._last_call = time.monotonic()
            steps, self._steps = self._steps, []
            for step in steps:
                self._live.difference_update(step.ended)
            failure, self._failure = self._failure, None
            self._changed.notify_all()
        if failure is not None:
            raise failure
        return steps

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _touch(self) -> None:
        self._last_call = time.monotonic()
        self._changed.notify_all()

    def _run(self) -> None:
        while self._await_turn():
            try:
                step = self._engine.step()
            except Exception as failure:
                logger.exception("the engine failed; its requests end")
                self._forget_all(failure)
                continue
            if step is not None:
                with self._changed:
                    self._steps.append(step)
                    self._changed.notify_all()

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
                    logger.warning("nobody has asked for %d requests in %.0f s; they end", len(self._live), silent_for)
                    self._engine.cancel_all()
                    self._live.clear()
                elif silent_for >= self._silence or len(self._steps) >= self._max_uncollected:
                    self._changed.wait(timeout=self._abandon - silent_for)
                else:
                    return True
            return False

    def _forget_all(self, failure: Exception) -> None:
        with self._changed:
            self._engine.cancel_all()
            self._live.clear()
            self._failure = failure
            self._changed.notify_all()
