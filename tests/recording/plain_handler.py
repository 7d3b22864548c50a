"""A worker that fails in every way that a worker can: the request says how. Packed by record_torchserve.py."""

import os
import signal
import time
from typing import Any, NoReturn

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.utils.util import PredictionException

COMMENT = b": what the event stream passes over\n\n"


def handle(data: list[dict[str, Any]] | None, context: Any) -> object:
    if not data:
        return []  # TorchServe's call at the start
    wish = data[0]["body"]
    if wish.get("after_a_chunk"):
        send_chunk(context)
    return WAYS[wish["do"]](context, wish)


def fail_with(error: BaseException) -> NoReturn:
    raise error


def send_chunk(context: Any) -> None:
    context.set_response_content_type(0, "text/event-stream")
    send_intermediate_predict_response([COMMENT], context.request_ids, "ok", 200, context)


def answer_with_status(context: Any, wish: dict[str, Any]) -> list[bytes]:
    context.set_response_status(wish["status"], "", 0)
    context.set_response_content_type(0, "application/json")
    return [b'{"whose": "the handler\'s own"}']


def stream_with_status(context: Any, wish: dict[str, Any]) -> list[bytes]:
    context.set_response_status(wish["status"], "", 0)
    send_chunk(context)
    return [COMMENT]


def set_a_header_that_is_no_text(context: Any, _: object) -> list[str]:
    context.set_response_header(0, "x-count", 5)
    return ["ok"]


WAYS = {
    "answer": lambda *_: [{"ok": True}],
    "answer_events": lambda *_: [COMMENT],
    "answer_much": lambda *_: ["x" * 200_000],
    "sleep": lambda _, wish: [time.sleep(wish["seconds"])],
    "raise": lambda *_: fail_with(ValueError("/opt/model/handler.py: org.example")),
    "run_out_of_memory": lambda *_: fail_with(MemoryError()),
    "run_out_of_gpu_memory": lambda *_: fail_with(RuntimeError("CUDA error: out of memory")),
    "raise_prediction_exception": lambda _, wish: fail_with(PredictionException("in its own words", wish["code"])),
    "return_no_list": lambda *_: {"ok": True},
    "return_too_many": lambda *_: ["one", "two"],
    "return_what_cannot_be_sent": lambda *_: [object()],
    "exit": lambda *_: os._exit(1),
    "die": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "answer_with_status": answer_with_status,
    "stream_with_status": stream_with_status,
    "set_a_header_that_is_no_text": set_a_header_that_is_no_text,
}
