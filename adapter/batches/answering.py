"""One line of an input file as one line of an output file."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapter.batches.attempts import Attempts
from adapter.batches.endpoints import Endpoints
from adapter.batches.input_lines import read_line
from adapter.batches.objects import Batch
from adapter.batches.request_records import Answer, Request
from adapter.call import Call
from adapter.errors import TorchbridgeError, typed
from adapter.http.openai_problem import OpenAIProblem

FIRST_DELAY = 1.0  # seconds, before the second attempt

_OK = 200

_log = logging.getLogger(__name__)


async def answer_request(
    endpoints: Endpoints,
    batch: Batch,
    owner: str,
    request: Request,
    path: Path,
    *,
    turns: asyncio.Semaphore,
    first_delay: float = FIRST_DELAY,
) -> Answer:
    """The answer to the line in `path`, or what has failed for good. If cancelled, it cancels the generation.

    Each attempt takes one of the turns of all batches. The pauses take none: others must not wait for its model.
    """
    request_id = f"{batch.id}-{request.line}"
    attempts = Attempts(first_delay)
    while True:
        try:
            async with turns:
                line = await read_line(path, request.position, request.length)
                prepared = endpoints.prepare(batch.endpoint, line.body)
                body = await prepared.answer(_call(request_id, owner))
        except Exception as error:  # noqa: BLE001 - a bug, too, is the bad luck of one request
            if not isinstance(error, TorchbridgeError):
                _log.exception("%s failed", request_id)
            failure = typed(error)
            delay = attempts.delay_after(failure)
            if delay is None:
                return _failed(request, request_id, failure)
            _log.info("%s will be tried again in %.2f s: %s", request_id, delay, failure.detail)
        else:
            return _answered(request, request_id, body)
        await asyncio.sleep(delay)


def not_answered(batch: Batch, request: Request) -> str:
    """The error file's line for a request whose batch ended before its answer."""
    if batch.cancelling_at is not None:
        code, message = "batch_cancelled", "The batch was cancelled before this request was answered."
    else:
        code, message = "batch_expired", "The batch's completion window ended before this request was answered."
    return _line(f"{batch.id}-{request.line}", request, response=None, error={"code": code, "message": message})


def _call(request_id: str, owner: str) -> Call:
    # No deadlines: the batch has one. No cache: a live request must not join one that waits behind all live ones, and
    # thousands of a batch's answers must not displace theirs.
    return Call(
        request_id,
        time.monotonic(),
        caller=owner,
        may_use_cache=False,
        is_streamed=False,
        is_background=True,
    )


def _answered(request: Request, request_id: str, body: dict[str, Any]) -> Answer:
    usage = body["usage"]
    return Answer(
        _line(request_id, request, response={"status_code": _OK, "request_id": request_id, "body": body}, error=None),
        input_tokens=usage.get("prompt_tokens", usage.get("input_tokens", 0)),
        output_tokens=usage.get("completion_tokens", usage.get("output_tokens", 0)),
    )


def _failed(request: Request, request_id: str, failure: TorchbridgeError) -> Answer:
    problem = OpenAIProblem.from_problem(failure.to_problem(request_id))
    _log.warning("%s %s: %s", request_id, problem.code, failure.with_cause)
    response = {"status_code": problem.status, "request_id": request_id, "body": problem.model_dump(mode="json")}
    return Answer(_line(request_id, request, response=response, error=None), is_failure=True)


def _line(
    request_id: str, request: Request, *, response: Mapping[str, Any] | None, error: Mapping[str, str] | None
) -> str:
    # ASCII: no reader of lines takes a character of a text for the end of one.
    return json.dumps(
        {"id": f"batch_req_{request_id}", "custom_id": request.custom_id, "response": response, "error": error},
        separators=(",", ":"),
    )
