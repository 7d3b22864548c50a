"""Stand-ins for what the adapter talks to. FakeTorchServe is a server that speaks TorchServe's inference dialect."""

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

import uvicorn
from aiohttp import web
from fastapi import FastAPI

from adapter.call import Call
from adapter.errors import ModelNotFound
from adapter.event_stream import CONTENT_TYPE, encode_event
from adapter.http.http_metrics import HttpMetrics
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    GenerationRequest,
    GenerationResponse,
    StartEvent,
    StreamEvent,
    WorkerRequest,
)
from adapter.serving.gateway_server import BACKLOG, server_config
from adapter.simulator.management import description
from adapter.torchserve.management_client import ModelDescription
from adapter.torchserve.ports import bind
from adapter.torchserve.served_models import PinnedVersion
from tests.waiting import PATIENCE

KEY_REFUSED = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
NO_WORKER_OR_QUEUE_FULL = (
    'Model "tiny" has no worker to serve inference request. Please use scale workers API to add workers. '
    "If this is a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize"
)

MODEL_DIGEST = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"


def answer_to(request: WorkerRequest, *texts: str) -> list[StreamEvent]:
    """The events of a worker that generates `texts`."""
    pinned = {
        "id": request.id,
        "model": request.model,
        "model_version": request.model_version,
        "model_digest": MODEL_DIGEST,
    }
    response = GenerationResponse(
        text="".join(texts),
        tokens_generated=len(texts),
        generation_time=0.5,
        finish_reason="stop",
        prompt_tokens=3,
        queue_time=-1,
        time_to_first_token=-1,
        **pinned,
    )
    deltas = [DeltaEvent(index=index, text=text) for index, text in enumerate(texts)]
    return [StartEvent(prompt_tokens=3, **pinned), *deltas, DoneEvent(response=response)]


Play = Callable[["Turn"], Awaitable[None]]


@dataclass
class Turn:
    """One request to FakeTorchServe, and what a test may do about it."""

    http: web.Request
    request: WorkerRequest
    stream: web.StreamResponse | None = None
    caller_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *pieces: StreamEvent | bytes, content_type: str = CONTENT_TYPE, has_id: bool = True) -> None:
        if self.stream is None:
            headers = {"content-type": content_type, "ts_stream_next": "true"} | (
                {"x-request-id": "1"} if has_id else {}
            )
            self.stream = web.StreamResponse(headers=headers)
            await self.stream.prepare(self.http)
        for piece in pieces:
            await self.stream.write(piece if isinstance(piece, bytes) else encode_event(piece))

    async def fail(self, status: int, kind: str, message: str) -> None:
        """As ErrorResponse.java and NettyUtils.java:197 do: an envelope, and the end of the connection."""
        body = json.dumps({"code": status, "type": kind, "message": message}, indent=2) + "\n"
        await self.answer(status, body.encode(), "application/json", has_id=True)

    async def answer(self, status: int, body: bytes, content_type: str, *, has_id: bool) -> None:
        headers = {"content-type": content_type, "connection": "close"} | ({"x-request-id": "1"} if has_id else {})
        self.stream = web.Response(status=status, body=body, headers=headers)

    def reset(self) -> None:
        self.http.transport.abort()

    async def wait_until_the_caller_leaves(self) -> None:
        await asyncio.Event().wait()


async def play_hello(turn: Turn) -> None:
    await turn.send(*answer_to(turn.request, "Hello", " world"))


@dataclass
class FakeTorchServe:
    play: Play = play_hello
    key: str = "first-key"
    turns: list[Turn] = field(default_factory=list)
    num_refused: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**23)
        app.router.add_post("/predictions/{model}/{version}", self._on_prediction)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @property
    def num_connections(self) -> int:
        return len(self._runner.server.connections)

    async def wait_for_turn(self) -> Turn:
        await wait_for(lambda: self.turns)
        return self.turns[-1]

    async def _on_prediction(self, http: web.Request) -> web.StreamResponse:
        turn = Turn(http, WorkerRequest.model_validate_json(await http.read()))
        if http.headers.get("Authorization") != f"Bearer {self.key}":
            self.num_refused += 1
            await turn.fail(400, "InvalidKeyException", KEY_REFUSED)
            return turn.stream
        self.turns.append(turn)
        try:
            await self.play(turn)
        except asyncio.CancelledError:
            turn.caller_left.set()
            raise
        return turn.stream


@dataclass
class FakeKeys:
    """As KeyFile: a renewal is known to TorchServe at once."""

    torchserve: FakeTorchServe = field(default_factory=FakeTorchServe)
    key: str = "first-key"
    num_reads: int = 0
    num_renewals: int = 0

    def inference_key(self) -> str:
        self.num_reads += 1
        return self.key

    def renew(self, kind: str, refused: str | None = None) -> None:
        assert kind == "inference"
        if refused in (None, self.key):
            self.num_renewals += 1
            self.key = self.torchserve.key = f"renewed-{self.num_renewals}"


async def find_a_worker(model: str, version: str) -> PinnedVersion:
    """As ModelRegistry.resolve_anew of a model that is ready."""
    return PinnedVersion(model, version, slots=1, workers=frozenset({(1, "")}))


@dataclass
class FakeManagement:
    """As ManagementClient: {model: {version: ready workers}}, the first version being the default."""

    served: dict[str, dict[str, int]] = field(default_factory=lambda: {"tiny": {"1.0": 1}})
    failure: Exception | None = None
    restarting: set[str] = field(default_factory=set)  # versions whose workers are not ready
    slots: int = 64
    num_listings: int = 0

    def model_names(self) -> list[str]:
        self.num_listings += 1
        if self.failure:
            raise self.failure
        return list(self.served)

    def describe(self, name: str) -> list[ModelDescription]:
        return [
            description(name, version, are_ready=[version not in self.restarting] * ready, slots=self.slots)
            for version, ready in self._versions(name).items()
        ]

    def default_version(self, name: str) -> str:
        return next(iter(self._versions(name)))

    def _versions(self, name: str) -> dict[str, int]:
        if not self.served[name]:
            raise ModelNotFound("gone")
        return self.served[name]


@dataclass
class FakeInference:
    """As InferenceClient: plays `script`, in which an exception is raised and a coroutine function awaited."""

    script: list[StreamEvent | list[StreamEvent] | Exception | Callable[[], Awaitable[None]]] | None = None
    requests: list[GenerationRequest] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    is_closed: asyncio.Event = field(default_factory=asyncio.Event)
    num_closed: int = 0
    heard: dict[tuple[str, str], float] = field(default_factory=dict)

    def heard_at(self, model: str, version: str) -> float:
        return self.heard.get((model, version), -math.inf)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
        self.requests.append(request)
        self.calls.append(call)
        pinned = WorkerRequest.model_validate({**dict(request), "id": call.request_id})
        try:
            for step in answer_to(pinned, "Hello", " world") if self.script is None else self.script:
                if isinstance(step, Exception):
                    raise step
                if callable(step):
                    await step()
                else:
                    events = list(step) if isinstance(step, list) else [step]
                    yield events
                    if not isinstance(events[-1], DoneEvent):
                        events.clear()  # as the real one does
        finally:
            self.num_closed += 1
            self.is_closed.set()


async def wait_for(condition: Callable[[], object]) -> None:
    """For what another thread or event loop brings about: it can be looked at from here, not awaited."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "the condition never came true"
        await asyncio.to_thread(time.sleep, 0.005)  # the loop's own timers stand still where a test holds the clock


@contextmanager
def serving(app: FastAPI, metrics: HttpMetrics | None = None) -> Iterator[str]:
    """The address of a uvicorn that serves `app` from a thread of its own."""
    listener = bind("127.0.0.1", 0, "the gateway", "")
    server = uvicorn.Server(server_config(app, metrics=metrics, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        listener.listen(BACKLOG)  # as GatewayServer does
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
