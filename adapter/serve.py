"""The whole stack on this machine: archive, TorchServe and gateway, from the start to the stop."""

import contextlib
import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import uvicorn

from adapter.archives.archive import build_archive, read_manifest
from adapter.archives.model_source import fetch_model, package_url
from adapter.client import ConnectionFailed, GatewayClient, StreamTruncated
from adapter.control.app import listen
from adapter.control.messages import control_socket
from adapter.errors import TorchbridgeError
from adapter.gateway_server import GatewayServer
from adapter.schema import DeltaEvent
from adapter.settings import Settings
from adapter.torchserve.ports import bind, check_torchserve_ports
from adapter.torchserve.run_directory import read_properties
from adapter.torchserve.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY, StartFailed, TorchServeProcess

VERSION = "1.0"
SAMPLE_PROMPT = "Once upon a time"

_SECONDS_BETWEEN_LOOKS = 0.5


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
    report: Callable[[str], None],
    *,
    host: str | None = None,
    port: int | None = None,
    run_directory: Path = DEFAULT_RUN_DIRECTORY,
    config: Path = CONFIG_FILE,
) -> Iterator["RunningStack"]:
    """Serves `model`, after it has packed it into `model_store` unless it is an archive.

    Inside the block it answers; after it nothing is left. `host` and `port` come before those of the settings.
    """
    address: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    listening = Settings(**address)  # before the long start: settings that are wrong show here
    with bind(listening.host, listening.port, "the gateway", "choose another one with --port") as listener:
        check_torchserve_ports(read_properties(config))
        archive = _archive_of(model, model_store, report)
        with TorchServeProcess([archive], run_directory, config=config) as torchserve:
            settings = Settings(
                **address,
                torchserve_url=torchserve.properties["inference_address"],
                management_url=torchserve.properties["management_address"],
                key_file=torchserve.keys.path,
                default_model=read_manifest(archive).model.name,
            )
            server = GatewayServer(settings)  # still before it: here wrong keys and rates show
            torchserve.start()
            torchserve.wait_until_ready(report)
            report("starting the gateway")
            with listen(control_socket(run_directory)) as control, _running(server, listener, control) as gateway:
                yield RunningStack(url_of(listener), settings, torchserve, gateway)


class RunningStack:
    def __init__(self, url: str, settings: Settings, torchserve: TorchServeProcess, gateway: threading.Thread) -> None:
        self.url = url
        self.needs_key = settings.api_keys is not None or settings.api_keys_file is not None
        self._torchserve = torchserve
        self._gateway = gateway

    def sample(self) -> Iterator[str]:
        """One answer of the model, piece by piece, by the way that every caller's takes."""
        client = GatewayClient(self.url, trust_env=False)  # a proxy has no business within this machine
        try:
            with client.stream_text(prompt=SAMPLE_PROMPT, temperature=0) as events:
                yield from (event.text for event in events if isinstance(event, DeltaEvent))
        except (TorchbridgeError, ConnectionFailed, StreamTruncated) as error:
            raise StartFailed(f"The gateway did not give a whole sample answer: {error}") from error

    def wait(self) -> NoReturn:
        """Returns by an exception only: Stopped, or StartFailed when a part of the stack is gone."""
        while True:
            if not self._torchserve.is_running():
                raise StartFailed(f"TorchServe ended. See {self._torchserve.directory.logs}.")
            if not self._gateway.is_alive():
                raise StartFailed("The gateway ended.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _archive_of(model: str, model_store: Path, report: Callable[[str], None]) -> Path:
    if model.endswith(".mar"):
        return Path(model)
    directory = fetch_model(model)
    report(f"packing {directory}")
    name = Path(model).resolve().name
    return build_archive(directory, name, VERSION, model_store, source=package_url(model, directory))


def url_of(listener: socket.socket) -> str:
    """Where the gateway can be called from this machine."""
    host, port, *_ = listener.getsockname()
    address = ipaddress.ip_address(host)
    if address.is_unspecified:  # it listens at every address, but this is none to call
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IPv4
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"  # noqa: PLR2004


@contextlib.contextmanager
def _running(server: uvicorn.Server, *listeners: socket.socket) -> Iterator[threading.Thread]:
    # In a thread uvicorn leaves the signals to us.
    thread = threading.Thread(target=server.run, kwargs={"sockets": listeners}, name="gateway", daemon=True)
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
