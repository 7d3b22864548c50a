"""The commands of `torchbridge` that change what a running server serves, of the versions that it has."""

import time
from typing import Annotated

import typer
from pydantic import Field

from adapter.command_line.command_group import command_group
from adapter.command_line.deployed_names import deployed_models, deployed_versions
from adapter.command_line.numbers import finite
from adapter.command_line.options import (
    RUN_DIRECTORY,
    DrainTimeout,
    Json,
    Model,
    Quiet,
    RunDirectoryOption,
    Version,
    examples,
)
from adapter.command_line.result import Interrupted, Result, Seconds, seconds_since, show
from adapter.command_line.stages import reporter
from adapter.commands.changing_server import changing_server
from adapter.process.background_output import background_output, notice
from adapter.versions import lifecycle
from adapter.versions.recovery import recover
from adapter.versions.running_server import RunningServer

version_commands = command_group()


@version_commands.command(epilog=examples("torchbridge promote 2.0"))
def promote(
    version: Version,
    *,
    model: Model = None,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Make a deployed VERSION the default."""
    with changing_server(run_directory, f"promote {version}") as change:
        name, _ = change.server.state.model(model)
        lifecycle.promote(change.server, name, version)
        result = change.of("promote", name, version)
    show(result, as_json=json_)


@version_commands.command(epilog=examples("torchbridge rollback", "torchbridge rollback 1.0 --model tiny"))
def rollback(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", autocompletion=deployed_versions)] = None,
    *,
    model: Model = None,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Make the version before, or VERSION, the default again.

    It is still loaded, so this takes no time.
    """
    with changing_server(run_directory, f"rollback {version or ''}") as change:
        name, _ = change.server.state.model(model)
        target = lifecycle.rollback(change.server, name, version)
        result = change.of("rollback", name, target)
    show(result, as_json=json_)


@version_commands.command(epilog=examples("torchbridge retire 1.0", "torchbridge retire 1.0 --if-exists"))
def retire(
    version: Version,
    *,
    model: Model = None,
    drain_timeout: DrainTimeout = 600,
    force: Annotated[bool, typer.Option("--force", help="Retire also the last version of a model.")] = False,
    if_exists: Annotated[
        bool, typer.Option("--if-exists", help="Do not fail if the version is not deployed, or not any more.")
    ] = False,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Wait until VERSION's requests have ended, and delete it.

    It is unloaded, and its archive is deleted from the server's store.
    """
    name = None
    with changing_server(run_directory, f"retire {version}") as change:
        if not if_exists or _is_deployed(change.server, model, version):
            name, _ = change.server.state.model(model)
            lifecycle.retire(change.server, name, version, drain_timeout, force=force)
        result = change.of("retire", name, version)
    show(result, as_json=json_)


def _is_deployed(server: RunningServer, model: str | None, version: str) -> bool:
    models = server.state.models
    return any(version in state.versions for name, state in models.items() if model in {None, name})


class DefaultModel(Result):
    """What `default-model` shows."""

    default_model: str = Field(description="The name of the model that requests without a model mean now.")
    is_changed: bool = Field(description="Whether they meant another one before.")
    interrupted: Interrupted
    seconds: Seconds

    def in_words(self) -> str:
        return f"requests that name no model mean {self.default_model}"


@version_commands.command("default-model", epilog=examples("torchbridge default-model tiny"))
def default_model(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=deployed_models)],
    *,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Choose the default model.

    It answers requests that name no model. `torchbridge status` shows which one it is.
    """
    with changing_server(run_directory, f"default-model {name}") as change:
        lifecycle.make_default_model(change.server, name)
        is_changed = change.is_changed
    result = DefaultModel(
        default_model=name,
        is_changed=is_changed,
        interrupted=change.interrupted,
        seconds=seconds_since(change.began),
    )
    show(result, as_json=json_)


@version_commands.command(epilog=examples("torchbridge scale 1.0 --workers 0", "torchbridge scale 1.0 --workers 1"))
def scale(
    version: Version,
    *,
    workers: Annotated[int, typer.Option(min=0, max=1, help="0 unloads the version, 1 loads it.")],
    model: Model = None,
    timeout: Annotated[
        float, typer.Option(min=1, callback=finite, help="Longest wait, in seconds, for a drain and for a load each.")
    ] = 900,
    json_: Json = False,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Unload a VERSION (0 workers), or load it again (1).

    Unloading frees its memory. The default version cannot be unloaded. More than one worker is not possible, because
    TorchServe would let them wait for each other (docs/versions.md).
    """
    with changing_server(run_directory, f"scale {version}") as change:
        name, _ = change.server.state.model(model)
        lifecycle.scale(change.server, name, version, workers, timeout=timeout, report=reporter(quiet=quiet))
        result = change.of("scale", name, version)
    show(result, as_json=json_)


class Recovery(Result):
    """What `recover` shows."""

    interrupted: Interrupted
    seconds: Seconds

    def in_words(self) -> str:
        return self.interrupted or "nothing was interrupted"


@version_commands.command("recover", epilog=examples("torchbridge recover"))
def recover_interrupted(*, json_: Json = False, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """End the change of an interrupted command.

    Undoes it, or writes down that it is done. The next command that changes something does so first, too.
    """
    began, server = time.monotonic(), RunningServer(run_directory)
    with background_output(), server.locked("recover"):
        interrupted = recover(server, notice)
    show(Recovery(interrupted=interrupted, seconds=seconds_since(began)), as_json=json_)
