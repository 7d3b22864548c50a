"""The phases of a call and their times, for Server-Timing and traces. All times are monotonic."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, NamedTuple, Self

from adapter.schema import ErrorCode

PhaseName = Literal["cache", "admission", "torchserve"]


class Part(NamedTuple):
    """A part of an attempt. Until it has ended, `end` is None."""

    name: Literal["queue", "prefill", "decode"]
    begin: float
    end: float | None


class Phase:
    """A context manager, of both kinds: it lasts as long as its block."""

    __slots__ = ("begin", "end", "failure", "name", "note")

    def __init__(self, name: PhaseName) -> None:
        self.name = name
        self.begin = time.monotonic()
        self.end: float | None = None
        self.failure: ErrorCode | None = None  # only the code: the exception would keep its traceback's locals alive
        self.note: str | None = None  # what came of it, in a word

    def __enter__(self) -> Self:
        self.begin = time.monotonic()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.end, self.failure = time.monotonic(), _code_of(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def parts(self) -> Iterable[Part]:
        return ()


class Attempt(Phase):
    """A request in TorchServe's hands. The worker tells durations by its own clock: each begins where one has ended."""

    __slots__ = ("_first_text_at", "_generation", "_prefill", "_started_at")

    def __init__(self) -> None:
        super().__init__("torchserve")
        self._started_at: float | None = None
        self._first_text_at: float | None = None
        self._prefill: float | None = None
        self._generation: float | None = None

    def note_start(self) -> None:
        """The worker has the request: it is no longer in TorchServe's queue."""
        self._started_at = time.monotonic()

    def note_text(self) -> None:
        if self._first_text_at is None:
            self._first_text_at = time.monotonic()

    def note_worker_times(self, prefill: float, generation: float) -> None:
        """Seconds from the start in the worker to the first text, and to the last: they come with the answer's end."""
        if 0 <= prefill <= generation:  # otherwise the worker's times are wrong, and the events' own are used
            self._prefill, self._generation = prefill, generation

    def parts(self) -> Iterable[Part]:
        yield Part("queue", self.begin, self._started_at or self.end)
        if self._started_at is None:
            return
        prefilled_at = self._prefilled_at(self._started_at)
        yield Part("prefill", self._started_at, prefilled_at or self.end)
        if prefilled_at is not None:
            yield Part("decode", prefilled_at, self._decoded_at(self._started_at, prefilled_at))

    def _prefilled_at(self, started_at: float) -> float | None:
        if self._prefill is None:
            return self._first_text_at
        # Of an answer that nobody reads while it grows, the first text comes with the last.
        return self._not_after_end(started_at + self._prefill)

    def _decoded_at(self, started_at: float, prefilled_at: float) -> float | None:
        if self._generation is None:
            return self.end
        return max(prefilled_at, self._not_after_end(started_at + self._generation))

    def _not_after_end(self, at: float) -> float:
        """The start is seen later here than it is in the worker: by the way from there."""
        return at if self.end is None else min(at, self.end)


class Timeline:
    """The phases of one generation."""

    __slots__ = ("began_at", "phases")

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.phases: list[Phase] = []

    def phase(self, name: PhaseName) -> Phase:
        """A new phase, to be entered at once."""
        self.phases.append(phase := Phase(name))
        return phase

    def attempt(self) -> Attempt:
        """A new attempt, to be entered at once."""
        self.phases.append(attempt := Attempt())
        return attempt

    @property
    def last_attempt(self) -> Attempt:
        """The last attempt; one that begins now if there is none."""
        return next((phase for phase in reversed(self.phases) if isinstance(phase, Attempt)), None) or self.attempt()


def _code_of(error: BaseException | None) -> ErrorCode | None:
    """The code of a failure. GeneratorExit is none: a reader who has the last event closes the phase like this."""
    if error is None or isinstance(error, GeneratorExit):
        return None
    code = getattr(error, "code", None)
    if isinstance(code, ErrorCode):
        return code
    return ErrorCode.INTERNAL if isinstance(error, Exception) else ErrorCode.CANCELLED
