"""Several requests of one call, side by side: all of them are answered, or the failure of one is that of all."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from adapter.call import Arrivals, Call
from adapter.errors import unasked_cancellation
from adapter.generation.text_generator import TextGenerator
from adapter.schema import GenerationRequest, GenerationResponse, StreamEvent


class NumberedEvent(NamedTuple):
    """number: of its request, from 0."""

    number: int
    event: StreamEvent


async def complete_all(
    generator: TextGenerator, requests: Sequence[GenerationRequest], call: Call
) -> list[GenerationResponse]:
    """The answers, in order. If cancelled, it cancels them all."""
    tasks = [
        asyncio.create_task(generator.complete(request, call.of_item(index))) for index, request in enumerate(requests)
    ]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _end(tasks)


async def stream_all(
    generator: TextGenerator, requests: Sequence[GenerationRequest], call: Call
) -> AsyncGenerator[list[NumberedEvent], None]:
    """As Arrivals, the events of all of them as they come. Closed, it closes them all."""
    arrived: asyncio.Queue[list[NumberedEvent] | Exception | None] = asyncio.Queue(maxsize=len(requests))
    streams = [generator.stream(request, call.of_item(index)) for index, request in enumerate(requests)]
    tasks = [asyncio.create_task(_pass_on(index, stream, arrived)) for index, stream in enumerate(streams)]
    try:
        num_open = len(tasks)
        while num_open:
            match await arrived.get():
                case None:
                    num_open -= 1
                case Exception() as error:
                    raise error
                case events:
                    yield events
    finally:
        await _end(tasks)


async def _pass_on(
    index: int, stream: Arrivals, arrived: "asyncio.Queue[list[NumberedEvent] | Exception | None]"
) -> None:
    try:
        async with aclosing(stream):
            async for events in stream:
                await arrived.put([NumberedEvent(index, event) for event in events])
    except Exception as error:  # noqa: BLE001 - it is raised where the events are taken
        await arrived.put(error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        await arrived.put(unasked_cancellation())
    else:
        await arrived.put(None)


async def _end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
