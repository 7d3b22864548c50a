"""One call of the inference client, for its events or for its failure."""

import time

import pytest

from adapter.call import Call
from adapter.errors import TorchbridgeError
from adapter.schema import GenerationRequest, StreamEvent
from adapter.torchserve.inference_client import InferenceClient

REQUEST = GenerationRequest(prompt="Once", model="tiny", model_version="1.0", stop=("\n",), seed=7)


async def run(
    inference: InferenceClient, request: GenerationRequest = REQUEST, *, is_streamed: bool = True
) -> list[StreamEvent]:
    arrivals = inference.stream(request, Call("request-1", time.monotonic(), is_streamed=is_streamed))
    return [event async for events in arrivals for event in events]


async def failure_of(inference: InferenceClient) -> TorchbridgeError:
    with pytest.raises(TorchbridgeError) as failure:
        await run(inference)
    return failure.value
