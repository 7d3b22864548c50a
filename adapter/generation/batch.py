"""Many requests in one call: they run side by side, and each one fails alone."""

import asyncio
import logging

from adapter.call import Call
from adapter.errors import InvalidRequest, TorchbridgeError, typed
from adapter.generation.text_generator import TextGenerator
from adapter.invalid_fields import invalid_request
from adapter.schema import BatchItem, BatchRequest, BatchResponse, FieldError, GenerationResponse, InvalidItem, Problem

_log = logging.getLogger(__name__)


async def complete_batch(generator: TextGenerator, batch: BatchRequest, call: Call, max_requests: int) -> BatchResponse:
    """An answer or a Problem for each request, in order. Cancelled, it cancels them all.

    Raises InvalidRequest where there are more than `max_requests`.
    """
    if len(batch.requests) > max_requests:
        detail = f"A batch has at most {max_requests} requests, and this one has {len(batch.requests)}."
        raise InvalidRequest(detail, errors=(FieldError(field="requests", message=detail),))
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(_complete(generator, item, call.of_item(index)))
            for index, item in enumerate(batch.requests)
        ]
    return BatchResponse(results=tuple(task.result() for task in running))


async def _complete(generator: TextGenerator, item: BatchItem, call: Call) -> GenerationResponse | Problem:
    try:
        if isinstance(item, InvalidItem):
            raise invalid_request(item.error.errors(include_url=False, include_input=False), whole="request")
        return await generator.complete(item, call)
    except Exception as error:  # a bug, too, is the bad luck of one request
        if not isinstance(error, TorchbridgeError):
            _log.exception("%s failed", call.request_id)
        return typed(error).to_problem(call.request_id)
