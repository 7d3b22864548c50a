"""Many requests in one call: they run side by side, and each one fails alone."""

import asyncio
import logging

from adapter.call import Call
from adapter.errors import InvalidRequest, TorchbridgeError, typed
from adapter.generation.text_generator import TextGenerator
from adapter.schema import BatchItem, BatchRequest, BatchResponse, FieldError, GenerationResponse, InvalidItem, Problem
from adapter.validation.request_errors import invalid_request

_log = logging.getLogger(__name__)


async def complete_batch(generator: TextGenerator, batch: BatchRequest, call: Call, max_requests: int) -> BatchResponse:
    """An answer or a Problem for each request, in order. Cancelled, it cancels them all.

    Raises InvalidRequest where there are more than `max_requests`.
    """
    if len(batch.requests) > max_requests:
        detail = f"A batch has at most {max_requests} requests, and this one has {len(batch.requests)}."
        raise InvalidRequest(detail, errors=(FieldError(field="requests", message=detail),))
    calls = [call.of_item(index) for index in range(len(batch.requests))]
    answering = [_complete(generator, item, own) for item, own in zip(batch.requests, calls, strict=True)]
    answers = await asyncio.gather(*answering, return_exceptions=True)
    return BatchResponse(results=tuple(_result(answer, own) for answer, own in zip(answers, calls, strict=True)))


async def _complete(generator: TextGenerator, item: BatchItem, call: Call) -> GenerationResponse:
    if isinstance(item, InvalidItem):
        raise invalid_request(item.error.errors(include_url=False, include_input=False), whole="request")
    return await generator.complete(item, call)


def _result(answer: GenerationResponse | BaseException, call: Call) -> GenerationResponse | Problem:
    match answer:
        case GenerationResponse():
            return answer
        case TorchbridgeError():
            return answer.to_problem(call.request_id)
        case Exception():  # a bug, too, fails one request only
            _log.error("%s failed", call.request_id, exc_info=answer)
            return typed(answer).to_problem(call.request_id)
    raise answer
