"""The events of a stream: `start`, any number of `delta`, then one `done` or `error`."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from adapter.schema.generation_response import GenerationResponse, TokenLogprob
from adapter.schema.problems import Problem
from adapter.sent import Sent
from adapter.tools import ToolCallDelta


class StartEvent(Sent):
    type: Literal["start"] = "start"
    id: str
    model: str
    model_version: str
    model_digest: str
    prompt_tokens: int
    seed: int | None = Field(
        default=None, description="That the answer is drawn by; the gateway's choice where the request has none."
    )


class DeltaEvent(Sent):
    type: Literal["delta"] = "delta"
    index: int = Field(description="0, 1, 2 … within one stream.")
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = Field(
        default=None, description="Of the tokens since the last delta, where they were asked for."
    )
    tool_calls: tuple[ToolCallDelta, ...] | None = Field(default=None, description="In a chat that has tools.")


class WorkerDelta(DeltaEvent):
    """As a worker tells it the gateway.

    ids: of the answer's tokens since the last delta, for another worker to go on behind them; None with the last delta,
    behind which there is nothing, and from the workers of older archives.
    """

    ids: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] | None = None


class DoneEvent(Sent):
    type: Literal["done"] = "done"
    response: GenerationResponse


class ErrorEvent(Sent):
    type: Literal["error"] = "error"
    problem: Problem


StreamEvent = Annotated[StartEvent | DeltaEvent | DoneEvent | ErrorEvent, Field(discriminator="type")]
STREAM_EVENT: TypeAdapter[StreamEvent] = TypeAdapter(StreamEvent)
WORKER_EVENT: TypeAdapter[StreamEvent] = TypeAdapter(
    Annotated[StartEvent | WorkerDelta | DoneEvent | ErrorEvent, Field(discriminator="type")]
)
