"""How attempts on one side of a comparison ended: in an answer or in a failure of the model server's, and how fast."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import NamedTuple, TypeAlias

from adapter.call import Arrivals
from adapter.errors import TorchbridgeError, UpstreamProtocol
from adapter.schema import DoneEvent, ErrorCode, GenerationResponse

End: TypeAlias = GenerationResponse | BaseException

# The others are the caller's (invalid_request, cancelled …) or the house's (overloaded, shutting_down …): they tell
# nothing of the version.
_FAILURES = frozenset(
    {
        ErrorCode.INTERNAL,
        ErrorCode.WORKER_DIED,
        ErrorCode.GENERATION_FAILED,
        ErrorCode.UPSTREAM_PROTOCOL,
        ErrorCode.MODEL_NOT_READY,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.OUT_OF_MEMORY,
        ErrorCode.DEADLINE_EXCEEDED,
    }
)
_MEASURED_ANSWERS = 1_000


class Spread(NamedTuple):
    """In seconds."""

    p50: float
    p95: float


class Outcomes:
    """The times are exact, and of the last 1000 answers."""

    def __init__(self) -> None:
        self.num_answers = 0
        self.num_cancelled = 0
        self.failures: Counter[ErrorCode] = Counter()
        self._first_token: deque[float] = deque(maxlen=_MEASURED_ANSWERS)
        self._per_token: deque[float] = deque(maxlen=_MEASURED_ANSWERS)

    def add(self, end: End) -> bool:
        """Whether this end is one of the model server's, and so was counted as a trial of it."""
        if isinstance(end, BaseException):
            code = code_of(end)
            self.num_cancelled += code is ErrorCode.CANCELLED
            self.failures.update({code} & _FAILURES)
            return code in _FAILURES
        if end.cached:
            return False
        self.num_answers += 1
        self._first_token.append(end.time_to_first_token)
        if end.tokens_generated:
            self._per_token.append(end.generation_time / end.tokens_generated)
        return True

    @property
    def time_to_first_token(self) -> Spread | None:
        return _spread(self._first_token)

    @property
    def time_per_token(self) -> Spread | None:
        return _spread(self._per_token)


async def counted(arrivals: Arrivals, count: Callable[[End], None]) -> Arrivals:
    """What arrives, up to and with `done`; `count` gets how it ended, before anybody else hears of it."""
    last = None
    async with aclosing(arrivals):
        try:
            async for events in arrivals:
                if isinstance(events[-1], DoneEvent):
                    last = events
                    break
                yield events
        except BaseException as error:
            count(error)
            raise
        if last is None or not isinstance(last[-1], DoneEvent):
            endless = UpstreamProtocol("The model server's answer has no end.")
            count(endless)
            raise endless
        count(last[-1].response)
        yield last


def code_of(error: BaseException) -> ErrorCode:
    if isinstance(error, TorchbridgeError):
        return error.code
    return ErrorCode.INTERNAL if isinstance(error, Exception) else ErrorCode.CANCELLED


def _spread(values: Iterable[float]) -> Spread | None:
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p95 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.95))
    return Spread(p50, p95)
