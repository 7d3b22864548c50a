"""One generation that any number of readers follow, each from its beginning and at its own pace."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from copy import copy

from adapter.call import Arrivals
from adapter.errors import ShuttingDown, TorchbridgeError, unasked_cancellation
from adapter.schema import DoneEvent, GenerationResponse, StreamEvent


class Broadcast:
    """Runs in a task of its own, until it ends or the last reader leaves; `keep` then gets a whole answer.

    Events stay as long as the run has readers; the answer's own limit bounds them. A run that `outlives_readers` ends
    with `cancel`, whoever reads.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        keep: Callable[[GenerationResponse], Awaitable[None]],
        *,
        outlives_readers: bool = False,
    ) -> None:
        self._keep = keep
        self._outlives_readers = outlives_readers
        self._arrived: list[list[StreamEvent]] = []
        self._news = asyncio.Event()
        self._num_readers = 0
        self._has_ended = False
        self._error: Exception | None = None
        self.task = asyncio.create_task(self._follow(arrivals))

    @property
    def can_be_joined(self) -> bool:
        """True until its answer is kept: later callers find that."""
        return self._error is None and not self.task.done()

    @property
    def has_failed(self) -> bool:
        return self._error is not None

    async def read(self) -> Arrivals:
        self._num_readers += 1
        try:
            for position in itertools.count():
                while position == len(self._arrived) and not self._has_ended:
                    await self._news.wait()
                if position == len(self._arrived):
                    break
                yield self._arrived[position]
            if self._error is not None:
                # One object that is raised in many tasks would gather the traceback of each. A bug's may.
                raise copy(self._error) if isinstance(self._error, TorchbridgeError) else self._error
        finally:
            self._num_readers -= 1
            if not self._num_readers and not self._has_ended and not self._outlives_readers:
                await self.stop()

    async def stop(self) -> None:
        """Lets `keep` end. A run that has not ended is closed when this returns."""
        self.cancel(ShuttingDown("The server is shutting down."))
        await asyncio.wait({self.task})

    def cancel(self, reason: TorchbridgeError) -> None:
        """Ends the run: its readers get the reason. A run that has ended keeps its end."""
        if not self._has_ended:
            self._end(reason)
            self.task.cancel()

    async def _follow(self, arrivals: Arrivals) -> None:
        last = None
        try:
            async with aclosing(arrivals):
                async for events in arrivals:
                    if isinstance(events[-1], DoneEvent):
                        # Its reader may leave at once, and must then find nothing left to stop.
                        last = events
                        break
                    self._arrived.append(list(events))
                    self._news.set()
                    self._news.clear()
        except Exception as error:  # noqa: BLE001 - it is raised in each reader
            self._end(error)
            return
        except asyncio.CancelledError:
            if not self._has_ended:  # nobody has called `cancel`: the readers would wait for ever
                self._end(unasked_cancellation())
            raise
        if last is not None:
            self._arrived.append(last)
        self._end()
        if last is not None and isinstance(last[-1], DoneEvent):
            await self._keep(last[-1].response)

    def _end(self, error: Exception | None = None) -> None:
        self._has_ended, self._error = True, error
        self._news.set()
