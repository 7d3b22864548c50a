"""How attempts on one side of a comparison ended: in an answer or in a failure of the version's, and how fast."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import NamedTuple, TypeAlias

from adapter.call import Arrivals
from adapter.errors import TorchbridgeError, UpstreamProtocol
from adapter.generation.canary_rule import Tally
from adapter.generation.deadlines import OutOfTime
from adapter.generation.timed_attempt import TimedAttempt
from adapter.schema import DoneEvent, ErrorCode, GenerationResponse

End: TypeAlias = GenerationResponse | BaseException

# Failures that a version can be blamed for, if they come from the version's side. Others are the caller's
# (invalid_request, prompt_too_long), a limit's (overloaded, payload_too_large), the operator's (version_not_found) or
# TorchServe's as a whole (upstream_unavailable). TorchServe's own end takes both versions with it and is not counted,
# even if it looks like a worker's.
_FAULTS = frozenset(
    {
        ErrorCode.WORKER_DIED,
        ErrorCode.GENERATION_FAILED,
        ErrorCode.OUT_OF_MEMORY,
        ErrorCode.UPSTREAM_PROTOCOL,
        ErrorCode.DEADLINE_EXCEEDED,  # the worker was silent, or says itself that it was too slow
        ErrorCode.MODEL_NOT_READY,  # its last worker went while the request waited for it
        ErrorCode.INTERNAL,  # a bug of ours that this version's answer has brought out
    }
)
_MEASURED_ANSWERS = 1_000


class Spread(NamedTuple):
    """Quantiles, in seconds."""

    p50: float
    p95: float


class Outcomes:
    """What a version did, and only that: an attempt counts from when the version has it until it ends there.

    The times are exact, and of the last 1000 answers.
    """

    def __init__(self) -> None:
        self.num_answers = 0
        self.num_cut = 0  # by their callers, a deadline or the gateway's end: the version had them, and had not ended
        self.failures: Counter[ErrorCode] = Counter()
        self._first_token: deque[float] = deque(maxlen=_MEASURED_ANSWERS)
        self._per_token: deque[float] = deque(maxlen=_MEASURED_ANSWERS)

    def add(self, end: End, attempt: TimedAttempt) -> bool:
        """Counts the end of an attempt. Returns whether it is the version's doing, and so a trial of it."""
        if not attempt.has_begun:
            return False
        if isinstance(end, BaseException):
            return self._add_failure(end, attempt)
        self.num_answers += 1
        self._first_token.append(attempt.first_token.seconds)
        if attempt.per_token.is_whole:
            self._per_token.append(attempt.per_token.seconds)
        return True

    def add_unready(self) -> None:
        """Counts a request that was meant for the version, which had no worker for it."""
        self.failures[ErrorCode.MODEL_NOT_READY] += 1

    @property
    def tally(self) -> Tally:
        num_failures = self.failures.total()
        return Tally(self.num_answers + num_failures, num_failures)

    @property
    def time_to_first_token(self) -> Spread | None:
        return _spread(self._first_token)

    @property
    def time_per_token(self) -> Spread | None:
        return _spread(self._per_token)

    def _add_failure(self, error: BaseException, attempt: TimedAttempt) -> bool:
        is_fault = code_of(error) in _FAULTS if attempt.has_failed else _had_its_time(error, attempt)
        self.failures.update({code_of(error)} if is_fault else ())
        self.num_cut += not is_fault and not attempt.has_failed
        return is_fault


def _had_its_time(error: BaseException, attempt: TimedAttempt) -> bool:
    """Whether the operator's limit has passed, and most of that time was the version's, not our queue's."""
    return isinstance(error, OutOfTime) and not error.is_callers and attempt.waited > error.limit / 2


async def counted(arrivals: Arrivals, count: Callable[[End], None]) -> Arrivals:
    """The events up to and with `done`. `count` gets the end of the attempt before anybody else does."""
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
