"""Plays TorchServe's continuous batching to a handler: one call a step with every live request in it.

As FE/wlm/ContinuousBatching.java does it: a request's body comes with its first call only, a client that went away is
missing from the next call, and no call is made while nobody is live.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ts.context import Context, RequestProcessor

from adapter.event_stream import EventDecoder
from adapter.schema import StreamEvent
from handlers.text_generation import TextGenerationHandler


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
        self._clients: dict[str, Client] = {}
        self._bodies: dict[str, bytes] = {}
        self._num_requests = 0

    def send(self, **request: Any) -> Client:
        return self.send_body(json.dumps({"id": f"request-{self._num_requests}"} | request).encode())

    def send_body(self, body: bytes) -> Client:
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
