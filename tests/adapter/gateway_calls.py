"""What the gateway's tests send, and the parts of their model's answers."""

import asyncio
from contextlib import AbstractContextManager

import httpx

from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.schema import DeltaEvent, StartEvent
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeKeys, FakeManagement, FakeTorchServe, serving

START = StartEvent(id="request-1", model="tiny", model_version="1.0", model_digest="1f", prompt_tokens=3)
FIRST = DeltaEvent(index=0, text="Hello")
BODY = {"prompt": "Once"}


def events_of(answer: httpx.Response) -> list[str]:
    return [event.type for event in EventDecoder().feed(answer.content)]


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def gateway_over(torchserve: FakeTorchServe, management: FakeManagement) -> AbstractContextManager[str]:
    """The address of a gateway that talks to `torchserve` over real sockets."""
    settings = Settings(torchserve_url=torchserve.url)
    registry = ModelRegistry(management, default_model=None)
    inference = InferenceClient(settings, FakeKeys(torchserve), registry.resolve_anew)
    return serving(create_app(settings, inference=inference, registry=registry))
