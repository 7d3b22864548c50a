"""The whole stack on this machine: archive, TorchServe and gateway, from the start to the stop."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adapter.archives.archive import build_archive
from adapter.archives.model_directory import model_directory, model_name
from adapter.archives.model_source import package_url
from adapter.artifacts.reference import is_reference
from adapter.control.app import listen
from adapter.control.messages import control_socket
from adapter.durable.private_directory import claim_directory
from adapter.durable.secret_file import kept_secret
from adapter.installation import INSTALLATION
from adapter.names import NAME_PATTERN
from adapter.process.stop_signals import StopSignals
from adapter.serving.gateway_address import is_loopback, url_of
from adapter.serving.gateway_server import GatewayServer
from adapter.serving.gateway_thread import gateway_thread
from adapter.serving.running_stack import RunningStack
from adapter.settings import check_variables
from adapter.torchserve.ports import bind, check_torchserve_ports, share_address
from adapter.torchserve.properties import read_properties
from adapter.torchserve.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY, TorchServeProcess
from adapter.validation.settings_file import read_settings
from adapter.versions.canary_keeper import canary_keeper
from adapter.versions.desired_state import DesiredState, installed_state
from adapter.versions.errors import ChangeRefused
from adapter.versions.followed_file import FollowedFile
from adapter.versions.pulled_archives import local_archive
from adapter.versions.reconciling import reconciling
from adapter.versions.restoration import (
    alone,
    begin_anew,
    default_archives,
    recorded_state,
    restore_others,
    verify_recorded,
)
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState

DEFAULT_MODEL = str(INSTALLATION.shipped / "models" / "tiny")
VERSION = "1.0"


@contextlib.contextmanager
def whole_stack(
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
        find_server = partial(RunningServer, run_directory, settings)
        report("starting the gateway")
        share_address(listener)
        with (
            listen(control_socket(run_directory)) as control,
            gateway_thread(
                server, listener, control, signals=signals or StopSignals(), gives_way=settings.engine_first
            ) as gateway,
            canary_keeper(run_directory, find_server),
        ):
            restore_others(find_server, report)
            with reconciling(files, find_server, followed) as server.rollout_endpoint.receiver:
                yield RunningStack(
                    url_of(listener, settings),
                    settings,
                    torchserve,
                    gateway,
                    files=files,
                    report=report,
                    faces_other_machines=not is_loopback(listener),
                )


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
        name = _name_for(model)
        report(f"packing {model}")
        source = package_url(model, directory)
        archive = build_archive(directory, name, VERSION, files.store, source=source)
    return alone(archive, files, key)


def _name_for(model: str) -> str:
    """Raises ChangeRefused where nobody has given the model a name, and that of its directory will not do."""
    name = model_name(model)
    if not re.fullmatch(NAME_PATTERN, name):
        raise ChangeRefused(
            f"{model} would be served as {name!r}, which cannot be a model's name: torchbridge pack --name makes an "
            "archive with another name, which torchbridge serve --model FILE.mar takes."
        )
    return name
