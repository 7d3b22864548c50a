"""The whole stack on this machine: archive, TorchServe and gateway, from the start to the stop."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import requests
import uvicorn

from adapter.archive import build_archive
from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.model_source import fetch_model
from adapter.ports import bind, check_torchserve_ports
from adapter.run_directory import read_properties
from adapter.schema import DeltaEvent, ErrorEvent
from adapter.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY, StartFailed, TorchServeProcess
from adapter.settings import Settings

VERSION = "1.0"
SAMPLE_PROMPT = "Once upon a time"

_SECONDS_BETWEEN_LOOKS = 0.5
_GRACE_SECONDS = 5  # for the answers that are being written when the stop comes
_SAMPLE_TIMEOUT = (5, 120)  # seconds to connect, without a byte


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or the terminal's end came. Not an Exception, so that nothing on its way handles it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Turns the first of these signals into Stopped, and ignores further ones: the stop is on its way."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(signal_number: int, _: object) -> NoReturn:
        for each in watched:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal_number)

    previous = {each: signal.signal(each, stop) for each in watched}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def running_stack(
    model: str,
    model_store: Path,
    port: int,
    report: Callable[[str], None],
    *,
    run_directory: Path = DEFAULT_RUN_DIRECTORY,
    config: Path = CONFIG_FILE,
) -> Iterator["RunningStack"]:
    """Packs `model` if that is not done yet and serves it. Inside the block it answers; after it nothing is left."""
    with bind("127.0.0.1", port, "the gateway", "choose another one with --port") as listener:
        check_torchserve_ports(read_properties(config))
        directory = fetch_model(model)
        report(f"packing {directory}")
        name = Path(model).resolve().name
        archive = build_archive(directory, name, VERSION, model_store)
        with TorchServeProcess([archive], run_directory, config=config) as torchserve:
            torchserve.start()
            torchserve.wait_until_ready(report)
            settings = Settings(
                port=listener.getsockname()[1],
                torchserve_url=torchserve.properties["inference_address"],
                management_url=torchserve.properties["management_address"],
                key_file=torchserve.keys.path,
                default_model=name,
            )
            report("starting the gateway")
            with _gateway(settings, listener) as gateway:
                yield RunningStack(settings, torchserve, gateway)


class RunningStack:
    def __init__(self, settings: Settings, torchserve: TorchServeProcess, gateway: threading.Thread) -> None:
        self.url = f"http://{settings.host}:{settings.port}"
        self._torchserve = torchserve
        self._gateway = gateway

    def sample(self) -> Iterator[str]:
        """One answer of the model, piece by piece, by the way that every caller's takes."""
        decoder = EventDecoder()
        with requests.Session() as session:
            session.trust_env = False
            request = {"prompt": SAMPLE_PROMPT, "temperature": 0}
            response = session.post(f"{self.url}/generate/stream", json=request, timeout=_SAMPLE_TIMEOUT, stream=True)
            with response:
                if response.status_code != requests.codes.ok:
                    raise StartFailed(f"The gateway answers {response.status_code}: {response.json().get('detail')}")
                for chunk in response.iter_content(None):
                    for event in decoder.feed(chunk):
                        if isinstance(event, DeltaEvent):
                            yield event.text
                        elif isinstance(event, ErrorEvent):
                            raise StartFailed(f"The sample answer broke off: {event.problem.detail}")

    def wait(self) -> NoReturn:
        """Returns by an exception only: Stopped, or StartFailed when a part of the stack is gone."""
        while True:
            if not self._torchserve.is_running():
                raise StartFailed(f"TorchServe ended. See {self._torchserve.directory.logs}.")
            if not self._gateway.is_alive():
                raise StartFailed("The gateway ended.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextlib.contextmanager
def _gateway(settings: Settings, listener: socket.socket) -> Iterator[threading.Thread]:
    config = uvicorn.Config(
        create_app(settings), log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    # In a thread uvicorn leaves the signals to us.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise StartFailed("The gateway did not start.")
            time.sleep(0.05)
        yield thread
    finally:
        server.should_exit = True
        thread.join()
