"""Ends work whose caller has left, or for which the server's shutdown leaves no time."""

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
    # It never fires by itself: we expire it from outside, which saves a task for each open stream.
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
        leaving.cancel()  # not awaited: the answer would wait for it
        leaving.add_done_callback(_forget)


async def _end_with_departure(receive: Receive, limit: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    end_now(limit)


def _forget(leaving: asyncio.Future[None]) -> None:
    """Takes its exception, if any: otherwise asyncio would warn that nobody did."""
    if not leaving.cancelled():
        leaving.exception()
