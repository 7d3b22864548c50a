"""/v1/batches: requests that nobody waits for, as OpenAI's clients send them."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from adapter.batches.batches import Batches
from adapter.batches.objects import Batch, NewBatch, Page
from adapter.http.json_body import JsonRoute

_MOST_LISTED = 100
_LONGEST_KEY = 255


def batch_routes(batches: Batches) -> APIRouter:
    router = APIRouter(prefix="/v1/batches", include_in_schema=False, route_class=JsonRoute)

    @router.post("")
    async def create_batch(
        body: NewBatch,
        http: Request,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=_LONGEST_KEY)] = None,
    ) -> Batch:
        return await batches.create(http.state.caller, body, idempotency_key)

    @router.get("")
    async def list_all(
        http: Request,
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 20,
    ) -> Page[Batch]:
        return await batches.list(http.state.caller, after=after, limit=limit)

    @router.get("/{batch_id}")
    async def retrieve_batch(batch_id: str, http: Request) -> Batch:
        return await batches.get(http.state.caller, batch_id)

    @router.post("/{batch_id}/cancel")
    async def cancel_batch(batch_id: str, http: Request) -> Batch:
        return await batches.cancel(http.state.caller, batch_id)

    return router
