"""The gateway's endpoint for `torchbridge rollout`. It exists if there are rollout keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio.to_thread
from fastapi import APIRouter

from adapter.control.rollout_messages import HostReport, RolloutOrder
from adapter.errors import NotFound
from adapter.http.authentication import ROLLOUT_PATH
from adapter.http.json_body import JsonRoute


class OrderReceiver(Protocol):
    """Carries orders out, one after the other. Each call may block: TorchServe is asked."""

    def take(self, order: RolloutOrder) -> HostReport: ...

    def report(self) -> HostReport: ...


@dataclass
class RolloutEndpoint:
    """Joins the gateway to the server around it, which changes versions; a gateway alone has none."""

    receiver: OrderReceiver | None = None

    def found(self) -> OrderReceiver:
        if self.receiver is None:
            raise NotFound("No server is around this gateway that could change what it serves.")
        return self.receiver


def rollout_route(endpoint: RolloutEndpoint) -> APIRouter:
    router = APIRouter(route_class=JsonRoute)

    @router.get(ROLLOUT_PATH, include_in_schema=False)
    async def report() -> HostReport:
        return await _in_thread(endpoint.found().report)

    @router.put(ROLLOUT_PATH, include_in_schema=False)
    async def take(order: RolloutOrder) -> HostReport:
        receiver = endpoint.found()
        return await _in_thread(lambda: receiver.take(order))

    return router


async def _in_thread(ask: Callable[[], HostReport]) -> HostReport:
    return await anyio.to_thread.run_sync(ask)
