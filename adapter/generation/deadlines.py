"""Ends an answer that takes longer than its caller, or the operator, will wait."""

import asyncio
import math
import time
from contextlib import aclosing

from adapter.call import Arrivals, Call
from adapter.errors import DeadlineExceeded
from adapter.schema import DeltaEvent, DoneEvent


class OutOfTime(DeadlineExceeded):
    """A deadline of the request's own has passed; a worker that is silent for too long is DeadlineExceeded as well."""

    def __init__(self, detail: str, limit: float = math.inf, *, is_callers: bool = False) -> None:
        super().__init__(detail)
        self.limit = limit  # seconds since the request came
        self.is_callers = is_callers


async def within_deadlines(arrivals: Arrivals, call: Call) -> Arrivals:
    """The events that arrive in time. Then it raises OutOfTime, with `arrivals` closed."""
    has_text = False
    async with aclosing(arrivals):
        while True:
            deadline = call.deadline if has_text else min(call.deadline, call.first_text_deadline)
            remaining = deadline - time.monotonic()
            if remaining <= 0:  # a timeout would not fire where the next events need no wait
                raise _exceeded(call, deadline)
            # Around each wait and not around all: a timeout must not fire in the code that takes the events.
            try:
                async with asyncio.timeout(None if remaining == float("inf") else remaining) as wait:
                    events = await anext(arrivals, None)
            except TimeoutError:
                if not wait.expired():
                    raise
                raise _exceeded(call, deadline) from None
            if events is None:
                return
            has_text = has_text or any(isinstance(event, DeltaEvent | DoneEvent) for event in events)
            yield events


def _exceeded(call: Call, deadline: float) -> OutOfTime:
    what = "The answer was not complete" if deadline == call.deadline else "There was no text"
    limit = deadline - call.received_at
    return OutOfTime(f"{what} within {limit:.3g} seconds.", limit, is_callers=deadline in call.asked_deadlines)
