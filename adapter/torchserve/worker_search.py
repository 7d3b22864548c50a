"""Looks for workers while a request waits for the beginning of its answer: it may be one that nobody will ever take.

Or that nobody has any more. TorchServe takes requests from its queue, waits for maxBatchDelay whether more come, and
forgets them if the worker dies in that time (Model.java, pollInferJob: its thread is interrupted, and WorkerThread.java
then answers only the batch before).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from adapter.errors import WorkerSilent

# A worker answers within a tenth of a second that it has taken a request, whatever it is busy with.
_SECONDS_TO_BE_TAKEN = 1.0


@asynccontextmanager
async def while_found(
    find: Callable[[], Awaitable[object]], silence: float, is_out_of_queue: Callable[[], bool] = lambda: False
) -> AsyncIterator[None]:
    """Ends the wait inside with what `find` raises. `find` is called after each `silence` seconds.

    Raises WorkerSilent when the request has been out of TorchServe's queue at two looks: no worker that lives has it.
    `is_out_of_queue` is asked after `find`, and so knows what that has heard.

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
            await _look_on(find, silence, is_out_of_queue)
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


async def _look_on(
    find: Callable[[], Awaitable[object]], silence: float, is_out_of_queue: Callable[[], bool]
) -> NoReturn:
    was_out = False
    while True:
        await find()
        is_out = is_out_of_queue()
        if was_out and is_out:
            raise WorkerSilent("The model server has forgotten the request.", cause="no answer, and not in the queue")
        was_out = is_out
        await asyncio.sleep(_SECONDS_TO_BE_TAKEN if is_out else silence)
