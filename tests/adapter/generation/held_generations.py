"""Generations that give what a test hands them, when it does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from adapter.schema import DeltaEvent, DoneEvent, StreamEvent, WorkerRequest
from tests.fakes import answer_to

Arrivals = AsyncGenerator[list[StreamEvent], None]

REQUEST = WorkerRequest(prompt="Once", temperature=0, model="tiny", model_version="1.0", id="first")
TEXTS = ("Hello", " world", "!")
TEXT = "".join(TEXTS)
ANSWER = [[event] for event in answer_to(REQUEST, *TEXTS)]


class HeldGenerations:
    """All runs take from one line of what there is to give."""

    def __init__(self, *steps: list[StreamEvent] | BaseException) -> None:
        self.num_started = 0
        self.num_closed = 0
        self.may_close = asyncio.Event()
        self.may_close.set()
        self._steps: asyncio.Queue[list[StreamEvent] | BaseException] = asyncio.Queue()
        self.give(*steps)

    def give(self, *steps: list[StreamEvent] | BaseException) -> None:
        for step in steps:
            self._steps.put_nowait(step)

    async def run(self) -> Arrivals:
        self.num_started += 1
        try:
            while True:
                step = await self._steps.get()
                if isinstance(step, BaseException):
                    raise step
                events = list(step)
                yield events
                if isinstance(events[-1], DoneEvent):
                    return
                events.clear()  # as InferenceClient.stream does
        finally:
            await self.may_close.wait()
            self.num_closed += 1


async def text_of(arrivals: AsyncIterator[list[StreamEvent]]) -> str:
    """The deltas' text, which must be the whole answer's."""
    events = [event async for events in arrivals for event in events]
    text = "".join(event.text for event in events if isinstance(event, DeltaEvent))
    assert isinstance(events[-1], DoneEvent)
    assert events[-1].response.text == text
    return text


async def settle() -> None:
    """Until every task has gone as far as it can without an event from outside."""
    for _ in range(50):
        await asyncio.sleep(0)
