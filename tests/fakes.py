"""Stand-ins for what the adapter talks to. FakeTorchServe is a server that speaks TorchServe's inference dialect."""

import asyncio
import math
import socket
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

import uvicorn
from aiohttp import web
from fastapi import FastAPI

from adapter.call import Call
from adapter.event_stream import CONTENT_TYPE, encode_event
from adapter.http.http_metrics import HttpMetrics
from adapter.schema import DoneEvent, ErrorCode, GenerationRequest, StreamEvent, WorkerRequest
from adapter.serving.gateway_server import BACKLOG, server_config
from adapter.simulator.management import SimulatedManagement, description
from adapter.simulator.telling import Telling
from adapter.simulator.torchserve_failures import TORCHSERVE_FAILURES
from adapter.torchserve.management_client import ModelDescription
from adapter.torchserve.ports import bind
from adapter.torchserve.served_models import PinnedVersion
from tests.recorded_answer import recorded
from tests.waiting import PATIENCE

HEADERS_OF_A_STREAM = {
    **recorded("inference/continuous_stream_then_worker_exits").headers,
    "content-type": CONTENT_TYPE,  # which is the worker's own
}
HEADERS_OF_A_FAILURE = recorded("inference/queue_full").headers
KEY_REFUSED = recorded("inference/key_wrong")


def answer_to(request: WorkerRequest, *texts: str) -> list[StreamEvent]:
    """The events of a worker that generates `texts`."""
    telling = Telling(request, request.id, texts, prompt_tokens=3)
    return [telling.start, *telling.deltas(), telling.done(generation_time=0.5)]


Play = Callable[["Turn"], Awaitable[None]]


@dataclass
class Turn:
    """One request to FakeTorchServe, and what a test may do about it."""

    http: web.Request
    request: WorkerRequest
    stream: web.StreamResponse | None = None
    caller_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *pieces: StreamEvent | bytes) -> None:
        if self.stream is None:
            self.stream = web.StreamResponse(headers=HEADERS_OF_A_STREAM)
            await self.stream.prepare(self.http)
        for piece in pieces:
            await self.stream.write(piece if isinstance(piece, bytes) else encode_event(piece))

    def fail(self, code: ErrorCode) -> None:
        """As TorchServe does what the gateway then takes for that: in an envelope, and with the connection's end."""
        said = TORCHSERVE_FAILURES[code]
        body = said.body(self.http.match_info["model"], self.http.match_info["version"])
        self.answer(said.status, body, HEADERS_OF_A_FAILURE)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.stream = web.Response(status=status, body=body, headers={**headers, "connection": "close"})

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
            turn.answer(KEY_REFUSED.status, KEY_REFUSED.body, KEY_REFUSED.headers)
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


class FakeManagement(SimulatedManagement):
    """failure: what it answers with. restarting: versions whose workers are not ready. num_waiting: in each queue."""

    def __init__(self, served: dict[str, dict[str, int]] | None = None, slots: int = 64) -> None:
        super().__init__({"tiny": {"1.0": 1}} if served is None else served, slots)
        self.failure: Exception | None = None
        self.restarting: set[str] = set()
        self.num_listings = 0
        self.num_waiting = 0

    def model_names(self) -> list[str]:
        self.num_listings += 1
        if self.failure:
            raise self.failure
        return super().model_names()

    def describe(self, name: str) -> list[ModelDescription]:
        return [
            description(
                name,
                each.model_version,
                are_ready=[each.model_version not in self.restarting] * len(each.workers),
                slots=self.slots,
                num_waiting=self.num_waiting,
            )
            for each in super().describe(name)
        ]


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


class LeavingNothing(uvicorn.Server):
    """uvicorn knows nothing at its end of a connection that is accepted in that moment: this closes it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in self.server_state.connections:
            connection.transport.abort()
        await asyncio.sleep(0)


@contextmanager
def serving(app: FastAPI, metrics: HttpMetrics | None = None) -> Iterator[str]:
    """The address of a uvicorn that serves `app` from a thread of its own."""
    listener = bind("127.0.0.1", 0, "the gateway", "")
    server = LeavingNothing(server_config(app, metrics=metrics, timeout_graceful_shutdown=1))
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
