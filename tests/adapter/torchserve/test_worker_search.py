import asyncio

import pytest

from adapter.errors import ModelNotReady, WorkerSilent
from adapter.torchserve import worker_search
from adapter.torchserve.worker_search import while_found


class Search:
    """Finds workers as often as it is to, and then none."""

    def __init__(self, num_successes: int = 0) -> None:
        self.num_calls = 0
        self.has_failed = asyncio.Event()
        self._num_successes = num_successes

    async def __call__(self) -> None:
        self.num_calls += 1
        if self.num_calls > self._num_successes:
            self.has_failed.set()
            raise ModelNotReady("There is none.")


async def test_nobody_searches_while_the_answer_is_not_late() -> None:
    search = Search()
    async with while_found(search, silence=60):
        await asyncio.sleep(0)
    assert search.num_calls == 0


async def test_what_waits_ends_when_nothing_is_found_any_more() -> None:
    search = Search(num_successes=2)
    with pytest.raises(ModelNotReady):
        async with while_found(search, silence=0):
            await asyncio.Event().wait()
    assert search.num_calls == 3


async def test_what_nobody_has_ends_when_nothing_was_queued_at_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_search, "_SECONDS_TO_BE_TAKEN", 0)
    looks = iter([True, False, True, True])  # at the third look it may have been taken a moment before
    with pytest.raises(WorkerSilent):
        async with while_found(Search(num_successes=4), 0, lambda: next(looks)):
            await asyncio.Event().wait()
    assert list(looks) == []


async def test_what_is_found_lets_it_wait() -> None:
    has_searched = asyncio.Event()

    async def search() -> None:
        has_searched.set()

    async with while_found(search, silence=0):
        await has_searched.wait()
        await asyncio.sleep(0)


async def test_a_search_ends_with_the_wait() -> None:
    begun, is_cancelled = asyncio.Event(), asyncio.Event()

    async def search() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    async with while_found(search, silence=0):
        await begun.wait()
    await is_cancelled.wait()


async def test_a_timeout_of_its_own_is_not_taken_for_the_searchs() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        async with while_found(Search(), silence=60):
            raise TimeoutError("its own")


async def test_a_wait_that_is_cancelled_stays_cancelled() -> None:
    async def wait() -> None:
        async with while_found(Search(), silence=60):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
