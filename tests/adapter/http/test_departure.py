import asyncio

import pytest

from adapter.errors import Cancelled, ShuttingDown
from adapter.http.departure import unless_caller_leaves
from adapter.http.shutdown import Shutdown


class Caller:
    def __init__(self) -> None:
        self.has_left = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.has_left.wait()
        return {"type": "http.disconnect"}


async def test_gives_the_result_to_a_caller_who_waits() -> None:
    assert await unless_caller_leaves(Caller().receive, Shutdown(), asyncio.sleep(0, "result")) == "result"


async def test_a_failure_passes() -> None:
    async def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await unless_caller_leaves(Caller().receive, Shutdown(), fail())


async def test_work_for_a_caller_who_leaves_is_cancelled() -> None:
    caller, is_cancelled = Caller(), asyncio.Event()

    async def work() -> None:
        caller.has_left.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    with pytest.raises(Cancelled):
        await unless_caller_leaves(caller.receive, Shutdown(), work())
    assert is_cancelled.is_set()


async def test_work_is_cancelled_with_the_one_who_waits_for_it() -> None:
    has_begun, is_cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    waiting = asyncio.create_task(unless_caller_leaves(Caller().receive, Shutdown(), work()))
    await has_begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert is_cancelled.is_set()


async def test_no_task_is_left_behind_for_longer_than_a_turn_of_the_loop() -> None:
    await unless_caller_leaves(Caller().receive, Shutdown(), asyncio.sleep(0))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_that_outlasts_the_shutdown_is_cancelled() -> None:
    shutdown, is_cancelled = Shutdown(), asyncio.Event()

    async def work() -> None:
        shutdown.end_after(0)
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    with pytest.raises(ShuttingDown):
        await unless_caller_leaves(Caller().receive, shutdown, work())
    assert is_cancelled.is_set()


async def test_work_that_ends_within_the_grace_of_a_shutdown_gives_its_result() -> None:
    shutdown = Shutdown()
    shutdown.end_after(60)
    assert await unless_caller_leaves(Caller().receive, shutdown, asyncio.sleep(0, "result")) == "result"
