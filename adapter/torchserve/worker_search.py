"""Looks for workers while a request waits for the beginning of its answer: it may be one that nobody will ever take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def while_found(find: Callable[[], Awaitable[object]], silence: float) -> AsyncIterator[None]:
    """Ends the wait inside with what `find` raises. `find` is called after each `silence` seconds.

    It begins with a timer. Nearly all answers are there long before, and a task for each of them would cost as much
    as sending its request.
    """
    loop = asyncio.get_running_loop()
    waiting = asyncio.timeout(None)
    failure: Exception | None = None
    searching: asyncio.Task[None] | None = None

    async def search() -> None:
        nonlocal failure
        try:
            while True:
                await find()
                await asyncio.sleep(silence)
        except Exception as error:  # noqa: BLE001 - it is the waiting one's
            failure = error
            waiting.reschedule(loop.time())

    def start() -> None:
        nonlocal searching
        searching = loop.create_task(search())

    timer = loop.call_later(silence, start)
    try:
        async with waiting:
            yield
    except TimeoutError:
        if failure is None:  # it has timed out by itself
            raise
        raise failure from None
    finally:
        timer.cancel()
        if searching is not None:
            searching.cancel()
