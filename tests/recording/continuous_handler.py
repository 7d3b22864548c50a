"""A worker for continuous batching that fails when and how the request says. Packed by record_torchserve.py."""

import os
import signal
from typing import Any, NoReturn

COMMENT = b": what the event stream passes over\n\n"

wishes: dict[str, dict[str, Any]] = {}  # by request id: only the first step of a request has its body


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[bytes]:
    if not data:
        return []  # TorchServe's call at the start
    is_last = []
    for index, row in enumerate(data):
        request_id = context.get_request_id(index)
        step = 2 if request_id in wishes else 1
        wish = wishes.setdefault(request_id, row.get("body", {}))
        context.set_response_content_type(index, "text/event-stream")
        if step == wish["in_step"]:
            WAYS[wish["do"]](context, index)
        is_last.append(step == 2 or wish["do"] == "end_at_once")
    context.stopping_criteria = [lambda _, is_last=is_last: is_last for is_last in is_last]
    return [COMMENT] * len(data)


def fail_with(error: BaseException) -> NoReturn:
    raise error


WAYS = {
    "end": lambda *_: None,
    "end_at_once": lambda *_: None,
    "raise": lambda *_: fail_with(ValueError("/opt/model/handler.py: org.example")),
    "run_out_of_memory": lambda *_: fail_with(MemoryError()),
    "exit": lambda *_: os._exit(1),
    "die": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "set_status": lambda context, index: context.set_response_status(422, "", index),
}
