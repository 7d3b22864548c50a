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
        default=None,
        description="The seed that the answer is drawn by: the request's, or one that the gateway has chosen.",
    )


class DeltaEvent(Sent):
    type: Literal["delta"] = "delta"
    index: int = Field(description="The number of the delta in its stream, from 0.")
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = Field(
        default=None,
        description="How likely each token since the last delta was; null if the request does not ask for it.",
    )
    tool_calls: tuple[ToolCallDelta, ...] | None = Field(
        default=None,
        description="What the model has written of calls since the last delta; null if the chat has no tools.",
    )


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
