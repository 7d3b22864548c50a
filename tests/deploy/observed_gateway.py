"""A gateway that Prometheus looks at, over a model and a TorchServe that a test has do what it likes."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from adapter.call import Call
from adapter.control.messages import control_socket
from adapter.schema import DoneEvent, GenerationRequest, StreamEvent
from adapter.settings import Settings
from adapter.torchserve.management_client import ModelDescription
from tests.adapter.control.running_gateway import running_gateway
from tests.adapter.http.canary_gateway import ASKED
from tests.fakes import FakeInference, FakeManagement
from tests.waiting import PATIENCE

Script = list[object] | None

_SLOW = 6.0  # seconds
_SECONDS_BETWEEN_LOOKS = 0.02


class Workers(FakeManagement):
    """As TorchServe describes them: each version has one of this process, until `process` is another one."""

    def __init__(self, served: dict[str, dict[str, int]], slots: int) -> None:
        super().__init__(served, slots)
        self.process = os.getpid()

    def describe(self, name: str) -> list[ModelDescription]:
        return [self._in_the_process(description) for description in super().describe(name)]

    def _in_the_process(self, description: ModelDescription) -> ModelDescription:
        workers = tuple(worker.model_copy(update={"pid": self.process}) for worker in description.workers)
        return description.model_copy(update={"workers": workers})


@dataclass
class Model(FakeInference):
    """Each request is answered by what `choose` gives for it, after `before`."""

    choose: Callable[[GenerationRequest], Script] = lambda _: None
    before: Callable[[], Awaitable[None]] | None = None
    is_over: threading.Event = field(default_factory=threading.Event)

    async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
        self.requests.append(request)
        if self.before is not None:
            await self.before()
        first_token = time.monotonic() - call.received_at
        async for events in FakeInference(self.choose(request)).stream(request, call):
            last = events[-1]
            if isinstance(last, DoneEvent):  # as InferenceClient does
                times = {"queue_time": first_token, "time_to_first_token": first_token}
                yield [*events[:-1], DoneEvent(response=last.response.model_copy(update=times))]
            else:
                yield events

    async def hang(self) -> None:
        while not self.is_over.is_set():  # noqa: ASYNC110 - which another thread says
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def think(self) -> None:
        """For so long that it is slow."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SLOW):
                await self.hang()


class ObservedGateway:
    """directory: where its workers write."""

    def __init__(self, url: str, directory: Path, model: Model, management: Workers) -> None:
        self.target = urlsplit(url).netloc
        self.directory, self.model, self.management = directory, model, management
        self._public = httpx.Client(base_url=url, timeout=PATIENCE)
        self._control = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(control_socket(directory))),
            base_url="http://control",
            timeout=PATIENCE,
        )
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def ask(self, **about: object) -> httpx.Response:
        headers = {"x-request-timeout": str(int(PATIENCE))}
        return self._public.post("/generate", json={"prompt": "Once"} | about, headers=headers)

    def keep_asking(self, *asked: dict[str, object]) -> None:
        """From a thread of its own, until it is over: one after the other, and the first again after the last."""
        self.keep_doing(lambda: [self.ask(**each) for each in asked])

    def keep_doing(self, work: Callable[[], object], pause: float = 0.1) -> None:
        def run() -> None:
            while not self._is_over.wait(pause):
                work()

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def begin_canary(self) -> None:
        """Of version 2.0, and half of the requests."""
        answer = self._control.put("/canaries", json=ASKED)
        answer.raise_for_status()
        canary = answer.json()["id"]
        self.keep_doing(lambda: self._control.put(f"/canaries/{canary}"), pause=1)

    def close(self) -> None:
        self._is_over.set()
        self.model.is_over.set()
        for thread in self._threads:
            thread.join()
        self._public.close()
        self._control.close()


@contextmanager
def observed_gateway(
    directory: Path, *, slots: int = 8, versions: Sequence[str] = ("1.0", "2.0"), **settings: object
) -> Iterator[ObservedGateway]:
    """It serves these versions of tiny, of which the first is the default."""
    directory.mkdir(exist_ok=True)
    model, management = Model(), Workers({"tiny": dict.fromkeys(versions, 1)}, slots=slots)
    given = Settings(compilations=directory, **settings)
    with running_gateway(directory, management, model, given) as url:
        gateway = ObservedGateway(url, directory, model, management)
        try:
            yield gateway
        finally:
            gateway.close()
