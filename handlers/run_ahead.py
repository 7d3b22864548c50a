"""Lets an engine decode in a thread of its own, ahead of whoever collects its tokens, but not without bound.

TorchServe calls the handler again at once while requests are live, so silence means that every client has left or
that the JVM stalls. Nobody can tell which, so the engine pauses: it goes on with the next call, and forgets its
requests when none comes.

What the engine survives ends its requests. What it does not survive ends the worker: a thread that is not there any
more would leave every later request without an answer and without a word.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence

import torch

from handlers.engine import Engine
from handlers.engine_news import Failure, Step
from handlers.sampling import SamplingParameters
from handlers.step_counts import StepCounts
from handlers.step_threads import StepThreads, fixed_threads
from handlers.stop_news import TakeStops, no_stops
from handlers.token_constraint import TokenConstraint
from handlers.watchdog import EndWorker, Watchdog, end_worker

logger = logging.getLogger(__name__)

_MOST_FAILURES = 3  # steps in a row


class RunAhead:
    """
    max_uncollected: steps that may wait to be collected.
    silence: seconds without a call after which decoding pauses.
    abandon: seconds without a call after which every request is forgotten.
    longest_step: seconds that a step may take before the worker ends.
    threads: how many threads a step has; as many as now, if absent.
    take_stops: says which requests were stopped since it was asked last, sooner than `keep_only`.

    Its `counts` are of the steps that it has run.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_uncollected: int = 64,
        silence: float = 0.25,
        abandon: float = 30.0,
        longest_step: float = 60.0,
        threads: StepThreads | None = None,
        take_stops: TakeStops = no_stops,
        end_worker: EndWorker = end_worker,
    ) -> None:
        self._engine = engine
        self.counts = StepCounts(engine)
        self.progress = 0  # steps, and pieces of work between them, that have ended
        self._threads = threads or fixed_threads(torch.get_num_threads())
        self._take_stops = take_stops
        self._max_uncollected, self._silence, self._abandon = max_uncollected, silence, abandon
        self._end_worker = end_worker
        self._watchdog = Watchdog("a step of the engine", longest_step, end_worker)
        self._changed = threading.Condition()
        self._commands: deque[Callable[[], None]] = deque()  # for the engine's thread alone to carry out
        self._pieces: deque[Iterator[None]] = deque()  # of each work beside the steps
        self._news: list[Step | Failure] = []
        self._is_urgent = False  # whether `collect` should not wait
        self._live: set[str] = set()
        self._in_engine: dict[str, None] = {}  # those whose end is not among the news
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
        constraint: TokenConstraint | None = None,
        *,
        answer: Sequence[int] = (),
        is_awaited: bool = True,
        before: Iterator[None] | None = None,
    ) -> None:
        """`is_awaited` makes its first token urgent. before: work between steps, without which it cannot begin."""

        def submit() -> None:
            try:
                self._engine.submit(request_id, prompt, max_new_tokens, parameters, constraint, answer=answer)
                self._in_engine[request_id] = None
            except Exception as error:
                logger.exception("the engine refuses request %s", request_id)
                self._add_news(Failure([request_id], error))

        def work(first: Iterator[None]) -> Iterator[None]:
            try:
                while request_id in self._live and next(first, self) is not self:
                    yield
            except Exception as error:
                logger.exception("the work before request %s failed", request_id)
                self._add_news(Failure([request_id], error))
            else:
                if request_id in self._live:
                    submit()

        with self._changed:
            self._live.add(request_id)
            if is_awaited:
                self._awaited.add(request_id)
            if before is None:
                self._commands.append(submit)
            else:
                self._pieces.append(work(before))
            self._touch()

    def keep_only(self, ids: Collection[str]) -> None:
        """Ends every request that is not among `ids`."""
        with self._changed:
            self._end(self._live.difference(ids))
            self._touch()

    def collect(self, timeout: float, patience: float = 0.0) -> list[Step | Failure]:
        """Returns what has happened since the last call.

        Waits `patience` seconds for more of it to come together, unless some is urgent: an awaited first token, an end,
        a failure, or something of which only the caller knows (`interrupt`). Then waits for the first of it, until
        `timeout` seconds are over in all.
        """
        self._watchdog.check()
        with self._changed:
            self._touch()
            self._changed.wait_for(lambda: self._is_urgent, patience)
            self._changed.wait_for(lambda: self._news or self._is_urgent, timeout - patience)
            news, self._news, self._is_urgent = self._news, [], False
            for item in news:
                self._live.difference_update(item.ended if isinstance(item, Step) else item.ids)
            self._touch()
        return news

    def between_steps(self, pieces: Iterator[None]) -> None:
        """Has the engine's thread do this work: a piece after each step, and at once while there is no step to run.

        One such work follows the other. What it raises would end the engine's requests, so it had better raise nothing.
        """
        with self._changed:
            self._pieces.append(pieces)
            self._changed.notify_all()

    def interrupt(self) -> None:
        """Ends the wait of the `collect` that runs, or of the next one."""
        with self._changed:
            self._is_urgent = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _end(self, ids: Collection[str]) -> None:
        for gone in ids:
            self._live.discard(gone)
            self._awaited.discard(gone)
            self._commands.append(lambda gone=gone: self._forget(gone))  # type: ignore[misc]

    def _forget(self, gone: str) -> None:
        self._in_engine.pop(gone, None)
        self._engine.cancel(gone)

    def _forget_all(self) -> list[str]:
        """Says which they were, with those that a step has ended of which nobody will hear, as it failed after that."""
        forgotten, self._in_engine = [*self._in_engine], {}
        self._engine.cancel_all()
        return forgotten

    def _touch(self) -> None:
        self._last_call = time.monotonic()
        self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._decode()
        except BaseException as error:  # noqa: BLE001 - it goes no further
            self._end_worker(f"the engine cannot go on: {error!r}", error)

    def _decode(self) -> None:
        """Runs steps until closed. Raises what the engine does not survive."""
        num_failures = 0  # since the last step that was good, whatever time lies between them
        while not self._is_closed:
            try:
                step = self._step() if self._await_turn() else None
                if step is not None:
                    self._add_news(step)
                    for ended in step.ended:
                        self._in_engine.pop(ended, None)
                    num_failures = 0
                self._work_between_steps()
            except Exception as failure:
                num_failures += 1
                if num_failures == _MOST_FAILURES or _is_lasting(failure):
                    raise
                logger.exception("the engine failed; its requests end")
                self._add_news(Failure(self._forget_all(), failure))

    def _step(self) -> Step | None:
        with self._watchdog.watching():
            if self._engine.has_work:
                begin = time.perf_counter()
                step = self._threads.step(self._engine)
                self.counts.add(len(step.ids) if step else 0, time.perf_counter() - begin)
                self.progress += 1
                return step
            self._threads.look()
            return None

    def _work_between_steps(self) -> None:
        if self._pieces:
            with self._watchdog.watching():
                if next(self._pieces[0], self) is self:
                    self._pieces.popleft()
                self.progress += 1

    def _await_turn(self) -> bool:
        """Waits until there is a step to run, or idle long enough for a look at the threads.

        False when closed, or when there is only work beside the steps.
        """
        with self._changed:
            while not self._is_closed:
                self._end(self._live.intersection(self._take_stops()))
                while self._commands:
                    self._commands.popleft()()
                silent_for = time.monotonic() - self._last_call
                if not self._engine.has_work:
                    if self._pieces:
                        return False
                    if (seconds := self._threads.until_look()) == 0:
                        return True
                    self._changed.wait(seconds)
                elif silent_for >= self._abandon:
                    forgotten = self._forget_all()
                    logger.warning("nobody has asked for %d requests in %.0f s; they end", len(forgotten), silent_for)
                    self._add_news(Failure(forgotten, TimeoutError("nobody collected the answer in time")))
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
            if self._is_urgent or len(self._news) == 1:  # nobody waits for a second item that is not urgent
                self._changed.notify_all()


def _is_lasting(failure: Exception) -> bool:
    """Whether the device is lost to this process: after an assertion in a kernel every later call fails, too."""
    return isinstance(failure, torch.AcceleratorError) or "CUDA error" in str(failure)
