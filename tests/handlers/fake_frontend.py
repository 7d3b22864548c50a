"""Plays TorchServe's continuous batching to a handler: one call a step with every live request in it.

As FE/wlm/ContinuousBatching.java does it: a request's body comes with its first call only, a client that went away is
missing from the next call, and no call is made while nobody is live.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ts.context import Context, RequestProcessor

from adapter.event_stream import EventDecoder
from adapter.schema import DoneEvent, GenerationResponse, StreamEvent
from handlers.text_generation import TextGenerationHandler
from tests.handlers.ended_worker import EndedWorker
from tests.waiting import PATIENCE


def write_record(directory: Path) -> None:
    """Says of the files of the model that they are as they are now."""
    files = {
        f"model/{path.name}": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in (directory / "model").iterdir()
    }
    (directory / "MAR-INF").mkdir()
    (directory / "MAR-INF" / "RECORD.json").write_text(json.dumps({"files": files}))


class Client:
    """What one client has received."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.is_open = True

    @property
    def events(self) -> list[StreamEvent]:
        return list(EventDecoder().feed(b"".join(self.chunks)))


def response(client: Client) -> GenerationResponse:
    """Of an answer that has come to its end."""
    done = client.events[-1]
    assert isinstance(done, DoneEvent), done
    return done.response


class FakeFrontend:
    def __init__(self, model_directory: Path, *, slots: int = 8, **handler_settings: Any) -> None:
        self.handler = TextGenerationHandler()
        manifest = {"model": {"modelVersion": "1.0"}}
        write_record(model_directory)
        self._context = Context(
            "tiny",
            str(model_directory),
            manifest,
            slots,
            None,
            "0.12.0",
            model_yaml_config={"batchSize": slots, "handler": {"threads": 1} | handler_settings},
        )
        self.handler.initialize(self._context)
        self.ended = EndedWorker()
        for thread in (self.handler._run_ahead, self.handler._prompt_encoder, self.handler._encoder_for_forms):
            thread._end_worker = thread._watchdog._end_worker = self.ended
        self._clients: dict[str, Client] = {}
        self._bodies: dict[str, bytes | dict[str, Any]] = {}
        self._num_requests = 0

    def send(self, **request: Any) -> Client:
        return self.send_body(json.dumps({"id": f"request-{self._num_requests}"} | request).encode())

    def send_body(self, body: bytes | dict[str, Any]) -> Client:
        """`body` is a dictionary where TorchServe has parsed it, which it does with what says that it is JSON."""
        client = Client()
        request_id = f"torchserve-{self._num_requests}"
        self._num_requests += 1
        self._clients[request_id], self._bodies[request_id] = client, body
        return client

    def leave(self, client: Client) -> None:
        self._clients = {request_id: other for request_id, other in self._clients.items() if other is not client}

    def call(self) -> None:
        """One step: hands every live request to the handler, and every answer to its client."""
        clients = dict(self._clients)
        context = self._context
        context.request_ids = dict(enumerate(clients))
        context.request_processor = [RequestProcessor({}) for _ in clients]
        data = [{"body": self._bodies.pop(request_id)} if request_id in self._bodies else {} for request_id in clients]
        answers = self.handler.handle(data, context)
        assert len(answers) == len(clients)
        for index, (request_id, client) in enumerate(clients.items()):
            client.chunks.append(answers[index])
            if context.stopping_criteria[index](answers[index]):
                # The head of a response whose first step is its last is never sent (RestJob.java:148-181).
                assert len(client.chunks) > 1
                client.is_open = False
                del self._clients[request_id]

    def run(self) -> None:
        while self._clients:
            self.call()

    def call_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.call()

    def close(self) -> None:
        assert self.ended.reasons == []
        self.handler._run_ahead.close()
        self.handler._prompt_encoder.close()
        self.handler._encoder_for_forms.close()
