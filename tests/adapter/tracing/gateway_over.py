"""The gateway over a TorchServe that speaks its dialect, served as it is to callers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeKeys, FakeManagement, FakeTorchServe, find_a_worker, serving

SPAN_ID = "00f067aa0ba902b7"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


@asynccontextmanager
async def gateway_over(torchserve: FakeTorchServe, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    chosen = Settings(torchserve_url=torchserve.url, **settings)
    app = create_app(
        chosen,
        inference=InferenceClient(chosen, FakeKeys(torchserve), find_a_worker),
        registry=ModelRegistry(FakeManagement(), None),
    )
    with serving(app) as address:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            yield client
