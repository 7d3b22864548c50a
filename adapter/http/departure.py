"""Ends work whose caller has left, or for which the server's shutdown leaves no time: nobody else would tell it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from adapter.errors import Cancelled, ShuttingDown
from adapter.http.shutdown import Shutdown, end_now

_Result = TypeVar("_Result")


async def unless_caller_leaves(receive: Receive, shutdown: Shutdown, work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of `work`, which is cancelled when the caller leaves; `receive` must have given the whole body.

    Raises Cancelled when the caller has left, ShuttingDown when the server stops before the work is done.
    """
    # A timeout that has no time of its own ends the work from within this task: one more for each open stream is dear.
    limit = asyncio.timeout(None)
    leaving = asyncio.ensure_future(_end_with_departure(receive, limit))
    try:
        async with limit:
            shutdown.add(limit)
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        if leaving.done():
            raise Cancelled("The caller left before the answer was complete.") from None
        raise ShuttingDown("The server shut down before the answer was complete.") from None
    finally:
        shutdown.discard(limit)
        leaving.cancel()  # its end is not waited for: the answer would be
        leaving.add_done_callback(_forget)


async def _end_with_departure(receive: Receive, limit: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    end_now(limit)


def _forget(leaving: asyncio.Future[None]) -> None:
    """Whatever it ended with: else asyncio would warn that nobody has asked."""
    if not leaving.cancelled():
        leaving.exception()
