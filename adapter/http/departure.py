"""Ends work whose caller has left, or for which the server's shutdown leaves no time: nobody else would tell it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from adapter.errors import Cancelled, ShuttingDown
from adapter.http.shutdown import Shutdown

_Result = TypeVar("_Result")


async def unless_caller_leaves(receive: Receive, shutdown: Shutdown, work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of `work`, which is cancelled when the caller leaves; `receive` must have given the whole body.

    Raises Cancelled when the caller has left, ShuttingDown when the server stops before the work is done.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_departure(receive))
    stopping = asyncio.ensure_future(shutdown.wait_until_over())
    try:
        await asyncio.wait((working, leaving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done():
            raise Cancelled("The caller left before the answer was complete.")
        raise ShuttingDown("The server shut down before the answer was complete.")
    finally:
        for task in (working, leaving, stopping):
            task.cancel()
        await asyncio.gather(working, leaving, stopping, return_exceptions=True)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
