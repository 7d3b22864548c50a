"""The answer to an earlier, equal request, as the events of this one."""

import time
from contextlib import aclosing

from pydantic import BaseModel

from adapter.call import Arrivals, Call
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, StartEvent, StreamEvent
from adapter.tools import ToolCallDelta


class StoredAnswer(BaseModel):
    stored_at: float  # time.time(): it is read on other machines, too
    response: GenerationResponse

    @classmethod
    def of(cls, response: GenerationResponse) -> bytes:
        return cls(stored_at=time.time(), response=response).model_dump_json().encode()

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.stored_at)  # the other machine's clock may be ahead

    def events(self, call: Call) -> list[StreamEvent]:
        response = self.response
        start = StartEvent(
            id=call.request_id,
            model=response.model,
            model_version=response.model_version,
            model_digest=response.model_digest,
            prompt_tokens=response.prompt_tokens,
        )
        return [start, *_deltas(response), DoneEvent(response=_readdressed(response, call, time.monotonic()))]


def _deltas(response: GenerationResponse) -> list[StreamEvent]:
    """The whole answer at once."""
    calls = tuple(
        ToolCallDelta(index=index, id=call.id, name=call.name, arguments=call.arguments)
        for index, call in enumerate(response.tool_calls or ())
    )
    if not (response.text or response.logprobs or calls):
        return []
    return [DeltaEvent(index=0, text=response.text, logprobs=response.logprobs, tool_calls=calls or None)]


async def readdressed(arrivals: Arrivals, call: Call) -> Arrivals:
    """The events of a run that was started for another call."""
    first_text_at = None
    async with aclosing(arrivals):
        async for events in arrivals:
            if first_text_at is None and any(isinstance(event, DeltaEvent) for event in events):
                first_text_at = time.monotonic()
            yield [_own(event, call, first_text_at) for event in events]


def _own(event: StreamEvent, call: Call, first_text_at: float | None) -> StreamEvent:
    match event:
        case StartEvent():
            return event.model_copy(update={"id": call.request_id})
        case DoneEvent():
            return DoneEvent(response=_readdressed(event.response, call, first_text_at or time.monotonic()))
        case _:
            return event


def _readdressed(response: GenerationResponse, call: Call, first_text_at: float) -> GenerationResponse:
    own = {
        "id": call.request_id,
        "cached": True,
        "queue_time": 0.0,
        "time_to_first_token": first_text_at - call.received_at,
    }
    return response.model_copy(update=own)
