"""Answers requests once more, on a canary's version, after their callers have been answered: only to be counted."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Self, TypeAlias

from adapter.call import Arrivals, CacheOutcome, Call
from adapter.errors import ModelNotReady, Overloaded, TorchbridgeError
from adapter.generation.canary import Canary
from adapter.generation.deadlines import within_deadlines
from adapter.generation.outcomes import End, counted
from adapter.generation.response_cache import is_deterministic
from adapter.generation.timed_attempt import TimedAttempt
from adapter.generation.traffic import Traffic
from adapter.schema import DoneEvent, GenerationRequest, GenerationResponse
from adapter.timeline import Timeline
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion

Run: TypeAlias = Callable[[PinnedVersion, GenerationRequest, Call, TimedAttempt], Arrivals]

_LEAST_LIMIT = 30.0  # seconds

_log = logging.getLogger(__name__)


class Shadows:
    """Each runs in a task of its own, that ends inside of `async with`.

    `run` gives the events of a version, or raises Overloaded where a slot would have to be waited for.
    """

    def __init__(self, registry: ModelRegistry, traffic: Traffic, run: Run) -> None:
        self._registry = registry
        self._traffic = traffic
        self._run = run
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._is_closed = False
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, canary: Canary, request: GenerationRequest, call: Call, end: End, attempt: TimedAttempt) -> None:
        """`end` is how the caller's own attempt ended, `attempt` its time with the default version."""
        if self._is_closed:
            return
        own = canary.shadow_attempt(request, attempt)
        task = asyncio.create_task(self._answer_later(canary, request, call, end, own))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_later(
        self, canary: Canary, request: GenerationRequest, call: Call, end: End, attempt: TimedAttempt
    ) -> None:
        """Waits for a random time first, as answers that ran side by side may end together.

        Their shadows would slow each other down, and be slower than what they are compared with.
        """
        took = time.monotonic() - call.received_at
        await asyncio.sleep(random.uniform(0, took))  # noqa: S311 - no secret
        await self._answer(canary, request, _copy(call, took), end, attempt)

    async def _answer(
        self, canary: Canary, request: GenerationRequest, call: Call, end: End, attempt: TimedAttempt
    ) -> None:
        arrivals = within_deadlines(self._run_counted(canary, request, call, attempt), call)
        try:
            async with aclosing(counted(arrivals, partial(_count, canary, attempt))) as events:
                async for arrived in events:
                    if isinstance(arrived[-1], DoneEvent) and isinstance(end, GenerationResponse):
                        _compare(canary, request, arrived[-1].response, end)
        except TorchbridgeError as error:
            _log.info("%s %s: %s", call.request_id, error.code, error.with_cause)
        except Exception:  # noqa: BLE001 - no caller is to hear of it
            _log.exception("%s failed", call.request_id)

    async def _run_counted(
        self, canary: Canary, request: GenerationRequest, call: Call, attempt: TimedAttempt
    ) -> Arrivals:
        pinned = await self._registry.resolve(canary.model, canary.version)
        if self._traffic.is_held(pinned):
            raise Overloaded("The version is held.")
        with self._traffic.live(pinned):
            async with aclosing(self._run(pinned, request, call, attempt)) as arrivals:
                async for events in arrivals:
                    yield events


def _copy(call: Call, took: float) -> Call:
    """The call with as much time from now on as the caller's had, but not much more than `took`, its seconds."""
    now = time.monotonic()

    def later(deadline: float) -> float:
        return now + (deadline - call.received_at)

    return replace(
        call,
        request_id=f"{call.request_id}-shadow",
        received_at=now,
        deadline=min(later(call.deadline), now + max(_LEAST_LIMIT, 2 * took)),
        first_text_deadline=later(call.first_text_deadline),
        asked_deadlines=frozenset(map(later, call.asked_deadlines)),
        cache=CacheOutcome(),
        timeline=Timeline(),
        trace=None,
    )


def _count(canary: Canary, attempt: TimedAttempt, end: End) -> None:
    if isinstance(end, ModelNotReady) and not attempt.has_begun:
        canary.canary_outcomes.add_unready()
    canary.canary_outcomes.add(end, attempt)
    canary.num_dropped += isinstance(end, Overloaded)


def _compare(
    canary: Canary, request: GenerationRequest, shadow: GenerationResponse, answer: GenerationResponse
) -> None:
    if is_deterministic(request):
        canary.num_compared += 1
        canary.num_equal += shadow.text == answer.text
