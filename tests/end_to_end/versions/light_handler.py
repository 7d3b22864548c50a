"""Stands for a model in archives that tests sign: it loads at once, and gives one letter a call.

Packed as text_generation.py, where TorchServe looks for the one class. It knows the protocol of handlers/ and no torch.
Like a model it goes on behind what another worker has told. An answer whose prompt is the path of a file ends when that
is there, or at its greatest length.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from adapter.event_stream import CONTENT_TYPE, encode_event
from adapter.schema import WORKER_EVENT, DoneEvent, GenerationResponse, StartEvent, WorkerDelta, WorkerRequest

SECONDS_PER_LETTER = 0.005
LETTER, ITS_TOKEN = "x", 3
NO_TEXT = "Say nothing."  # a prompt whose answer begins, and gets no further


class LightHandler:
    def __init__(self) -> None:
        self._live: dict[str, tuple[WorkerRequest, int]] = {}  # with how many of its answers are given

    def initialize(self, context: Any) -> None:
        record = (Path(context.system_properties["model_dir"]) / "MAR-INF" / "RECORD.json").read_bytes()
        self._identity = {
            "model": json.loads(record)["name"],
            "model_version": json.loads(record)["version"],
            "model_digest": hashlib.sha256(record).hexdigest(),
        }

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        ids = [context.get_request_id(index) for index in range(len(data))]
        time.sleep(SECONDS_PER_LETTER)
        self._live = {
            id_: self._live.get(id_) or (WorkerRequest.model_validate(row["body"]), -1)
            for id_, row in zip(ids, data, strict=True)
        }
        answers = [self._next(id_) for id_ in ids]
        for index in range(len(ids)):
            context.set_response_content_type(index, CONTENT_TYPE)
        context.stopping_criteria = [lambda _, is_last=is_last: is_last for _, is_last in answers]
        return [events for events, _ in answers]

    def _next(self, id_: str) -> tuple[bytes, bool]:
        request, given = self._live[id_]
        self._live[id_] = request, given + 1
        own = {"id": request.id, **self._identity}
        num_letters = len(request.answer_ids) + given
        if given < 0:
            return encode_event(StartEvent(prompt_tokens=len(request.prompt.split()), **own)), False
        if request.prompt == NO_TEXT:
            return b"", False
        if num_letters < request.max_length and not _is_to_end(request):
            return encode_event(WorkerDelta(index=given, text=LETTER, ids=(ITS_TOKEN,)), WORKER_EVENT), False
        response = GenerationResponse(
            text=LETTER * num_letters,
            tokens_generated=num_letters,
            generation_time=given * SECONDS_PER_LETTER,
            finish_reason="length",
            prompt_tokens=len(request.prompt.split()),
            queue_time=0.0,
            time_to_first_token=0.0,
            **own,
        )
        return encode_event(DoneEvent(response=response)), True


def _is_to_end(request: WorkerRequest) -> bool:
    return request.prompt.startswith("/") and Path(request.prompt).exists()
