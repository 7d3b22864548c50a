"""The whole stack on this machine: archive, TorchServe and gateway, from the start to the stop."""

import contextlib
import ipaddress
import logging
import os
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import requests

from adapter.archives.archive import build_archive
from adapter.archives.model_directory import model_directory, model_name
from adapter.archives.model_source import package_url
from adapter.artifacts.reference import is_reference
from adapter.control.app import listen
from adapter.control.messages import control_socket
from adapter.errors import TorchbridgeError
from adapter.gateway_server import GatewayServer
from adapter.installation import INSTALLATION
from adapter.own_gateway import check_readiness
from adapter.secret_file import kept_secret
from adapter.settings import Settings, check_variables
from adapter.settings_file import read_settings
from adapter.stop_signals import StopSignals
from adapter.thread_priority import give_way
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import bind, check_torchserve_ports, share_address
from adapter.torchserve.private_directory import claim_directory
from adapter.torchserve.properties import read_properties
from adapter.torchserve.run_directory import RunDirectory
from adapter.torchserve.sample_answer import sample_answer
from adapter.torchserve.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY, StartFailed, TorchServeProcess
from adapter.torchserve.silence_watch import SilenceWatch
from adapter.versions.canary_keeper import canary_keeper
from adapter.versions.desired_state import DesiredState, installed_state
from adapter.versions.errors import ChangeRefused
from adapter.versions.followed_file import FollowedFile
from adapter.versions.keeping import keeping_state
from adapter.versions.pulled_archives import local_archive
from adapter.versions.restoration import (
    alone,
    begin_anew,
    default_archives,
    recorded_state,
    restore_others,
    verify_recorded,
)
from adapter.versions.running_server import ServerFiles
from adapter.versions.server_state import ServerState

DEFAULT_MODEL = str(INSTALLATION.shipped / "models" / "tiny")
VERSION = "1.0"

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LOOKS_AT_THE_GATEWAY = 0.05
# TorchServe is started again unless it ends this often within this time (seconds).
_MOST_CRASHES, _CRASH_WINDOW = 3, 600

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def running_stack(
    model: str | DesiredState | None,
    report: Callable[[str], None],
    *,
    key: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    compiles: bool | None = None,
    settings_file: Path | None = None,
    run_directory: Path = DEFAULT_RUN_DIRECTORY,
    config: Path = CONFIG_FILE,
    signals: StopSignals | None = None,
    followed: FollowedFile | None = None,
) -> Iterator["RunningStack"]:
    """Serves `model`, packed first unless it is an archive; without one the versions that were served last.

    Nothing is loaded that is not verified, with `key` where there is one: now, by a later command or after a crash.
    Inside the block it answers; after it nothing is left, sooner if `signals` say that it is urgent. `host`, `port` and
    `compiles` (the setting `compile`) come before those of the settings, the environment's before `settings_file`'s.
    What is served changes when `followed` does, or else as rollouts order.
    """
    check_variables(os.environ)
    given = {"host": host, "port": port, "compile": compiles}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    listening = read_settings(settings_file, **chosen)  # before the long start: settings that are wrong show here
    files = ServerFiles(run_directory.resolve())
    with (
        bind(listening.host, listening.port, "the gateway", "choose another one with --port") as listener,
        TorchServeProcess(
            [], run_directory, config=config, load_timeout=listening.load_timeout, compiles=listening.compile
        ) as torchserve,
    ):
        check_torchserve_ports(read_properties(config))
        claim_directory(files.run_directory)  # before anything is read from it, or written
        # Both before anything is touched: another server's archives are not ours to replace, nor what a command that
        # has lost its server is still copying. Such a command ends soon.
        torchserve.hold()
        with files.locked("torchbridge serve, starting", waits=True):
            state = _state_to_serve(model, files, key, report)
            settings = read_settings(
                settings_file,
                **chosen,
                torchserve_url=torchserve.properties["inference_address"],
                management_url=torchserve.properties["management_address"],
                key_file=torchserve.keys.path,
                model_store=files.store,
                compilations=files.compilations,
                default_model=state.default_model,
                batch_directory=listening.batch_directory or files.run_directory / "batches",
                cursor_key=listening.cursor_key or kept_secret(files.run_directory / "cursor.key"),
            )
            server = GatewayServer(settings)  # still before it: here wrong keys and rates show
            torchserve.start(default_archives(state, files))
            begin_anew(state, files, key)
            shutil.rmtree(files.pulled, ignore_errors=True)  # what nobody has pulled to its end
        torchserve.wait_until_ready(report)
        report("starting the gateway")
        share_address(listener)
        with (
            listen(control_socket(run_directory)) as control,
            _running(
                server, listener, control, signals=signals or StopSignals(), gives_way=settings.engine_first
            ) as gateway,
            canary_keeper(run_directory),
        ):
            restore_others(run_directory, report)
            with keeping_state(files, followed) as server.rollout_door.taker:
                yield RunningStack(
                    url_of(listener, settings),
                    settings,
                    torchserve,
                    gateway,
                    files=files,
                    report=report,
                    faces_other_machines=not is_loopback(listener),
                )


class RunningStack:
    def __init__(
        self,
        url: str,
        settings: Settings,
        torchserve: TorchServeProcess,
        gateway: threading.Thread,
        *,
        files: ServerFiles,
        report: Callable[[str], None],
        faces_other_machines: bool = False,
    ) -> None:
        self.url = url
        self.needs_key = settings.asks_for_keys
        self.is_open_to_all = faces_other_machines and not self.needs_key
        self.log_format = settings.log_format
        self.gateway_log = RunDirectory(files.run_directory).gateway_log
        self._settings = settings
        self._torchserve = torchserve
        self._gateway = gateway
        self._files = files
        self._report = report
        self._crashes: deque[float] = deque(maxlen=_MOST_CRASHES)

    def sample(self) -> Iterator[str]:
        """One answer of the model, piece by piece, and the gateway's word that it is ready.

        In this order: a model's first token of all may take longer than /readyz waits for one.
        """
        registry = ModelRegistry(self._torchserve.management, self._settings.default_model)
        try:
            yield from sample_answer(self._settings, self._torchserve.keys, registry)
            check_readiness(self.url, self._settings.tls_certificate)
        except (TorchbridgeError, requests.RequestException) as error:
            raise StartFailed(f"There was no whole sample answer: {error}") from error

    def wait(self) -> NoReturn:
        """Returns by an exception only: Stopped, or StartFailed when a part of the stack cannot be had any more."""
        while True:
            self._start_again(self._wait_for_end())

    def _wait_for_end(self) -> str:
        """Of TorchServe, and what is to be said of it. One that stands still is killed, so that it ends too.

        It must be found out before the calls that it has are given up for its silence: they can be made again.
        """
        limit = self._settings.silence_timeout / 2
        with SilenceWatch(self._settings.torchserve_url, limit) as watch:
            while self._torchserve.is_running():
                if not self._gateway.is_alive():
                    raise StartFailed("The gateway ended.")
                if watch.is_silent:
                    self._torchserve.kill()
                    return f"TorchServe has not answered for {limit:.3g} seconds"
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        return "TorchServe ended"

    def _start_again(self, reason: str) -> None:
        """TorchServe with the versions and the defaults that it had, by our own record of them."""
        now = time.monotonic()
        if len(self._crashes) == _MOST_CRASHES and now - self._crashes[0] < _CRASH_WINDOW:
            raise StartFailed(f"{reason}, as it did before. See {self._torchserve.directory.logs}.")
        self._crashes.append(now)
        self._report(f"{reason}: starting it again")
        self._torchserve.stop()
        state = ServerState.read(self._files.state) or ServerState()
        self._torchserve.start(default_archives(state, self._files))
        try:
            self._torchserve.wait_until_ready(self._report)
        except StartFailed as failure:
            if self._torchserve.is_running():  # with a worker that will never be ready
                raise
            self._report(str(failure))
            return  # it ended once more, which counts as the times before
        restore_others(self._files.run_directory, self._report)
        self._report("TorchServe serves again")


def _state_to_serve(
    model: str | DesiredState | None, files: ServerFiles, key: Path | None, report: Callable[[str], None]
) -> ServerState:
    if isinstance(model, DesiredState):
        report("verifying the archives")
        return installed_state(model, files, key, report)
    if model is None and (recorded := recorded_state(files)) is not None:
        report("verifying the archives")
        verify_recorded(recorded, files, key)
        return recorded
    model = model or DEFAULT_MODEL
    if is_reference(model) or model.endswith(".mar"):
        with local_archive(model, files, key, report) as archive:
            report(f"verifying {model}")
            return alone(archive, files, key)
    if key is not None:
        raise ChangeRefused(
            f"{model} would be packed here, and so is not signed with {key}: torchbridge pack --sign makes an archive "
            "of it that torchbridge serve --model FILE.mar --key takes."
        )
    with model_directory(model) as directory:
        report(f"packing {model}")
        source = package_url(model, directory)
        archive = build_archive(directory, model_name(model), VERSION, files.store, source=source)
    return alone(archive, files, key)


def is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket, settings: Settings) -> str:
    """Where the gateway can be called from this machine."""
    host, port, *_ = listener.getsockname()
    address = ipaddress.ip_address(host)
    if address.is_unspecified:  # it listens at every address, but this is none to call
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IPv4
    name = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    return f"{'https' if settings.tls_certificate else 'http'}://{name}:{port}{settings.root_path}"


@contextlib.contextmanager
def _running(
    server: GatewayServer, *listeners: socket.socket, signals: StopSignals, gives_way: bool
) -> Iterator[threading.Thread]:
    def run() -> None:
        if gives_way:
            give_way()
        server.run(sockets=list(listeners))

    # In a thread uvicorn leaves the signals to us.
    thread = threading.Thread(target=run, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise StartFailed("The gateway did not start.")
            time.sleep(_SECONDS_BETWEEN_LOOKS_AT_THE_GATEWAY)
        yield thread
    finally:
        server.should_exit = True
        _wait_for_end(server, thread, signals)


def _wait_for_end(server: GatewayServer, thread: threading.Thread, signals: StopSignals) -> None:
    """Not for ever: what hangs in the gateway must not keep TorchServe, and all that it holds, from its end."""
    is_hurried = False
    latest = time.monotonic() + server.longest_end
    while thread.is_alive() and time.monotonic() < latest:
        if signals.is_urgent and not is_hurried:
            is_hurried, latest = True, time.monotonic() + server.hurry()
        thread.join(_SECONDS_BETWEEN_LOOKS_AT_THE_GATEWAY)
    if thread.is_alive():
        _log.error("the gateway does not end, and is left as it is")
