"""The commands of `torchbridge` that change a version of a running server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adapter.archives.progress import progress
from adapter.command_line.deployed_names import deployed_models, deployed_versions
from adapter.command_line.finite_numbers import finite
from adapter.command_line.options import RUN_DIRECTORY, Model, Quiet, RunDirectoryOption, Version, examples, key_file
from adapter.command_line.stages import reporter
from adapter.process.background_output import background_output, say
from adapter.settings import LOAD_TIMEOUT
from adapter.torchserve.loading import LOAD_TIMEOUT_SETTING
from adapter.versions import lifecycle
from adapter.versions.deployment import DeploymentOptions
from adapter.versions.deployment import deploy as deploy_archive
from adapter.versions.pulled_archives import local_archive
from adapter.versions.recovery import changing, recover
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer

Key = Annotated[
    Path | None,
    key_file(
        "Take only archives that are signed with this key, or by these identities. Default: serve's --key.", "PUB"
    ),
]
DrainTimeout = Annotated[
    float, typer.Option(min=0, callback=finite, help="Longest wait, in seconds, until a version's requests have ended.")
]

version_commands = typer.Typer()


@version_commands.command(
    epilog=examples(
        "torchbridge deploy tiny-2.0.mar",
        "torchbridge deploy tiny-2.0.mar --no-promote",
        "torchbridge deploy oci://registry.example.com/models/tiny:2.0",
    )
)
def deploy(
    archive: Annotated[str, typer.Argument(metavar="FILE.mar_OR_oci://…")],
    *,
    key: Key = None,
    promote: Annotated[
        bool, typer.Option(help="Make it the default version once it has shown that it answers.")
    ] = True,
    keep: Annotated[int, typer.Option(min=0, help="Earlier default versions that stay loaded for a rollback.")] = 2,
    load_timeout: Annotated[
        float,
        typer.Option(
            min=1, callback=finite, envvar=LOAD_TIMEOUT_SETTING, help="Longest wait, in seconds, until it is ready."
        ),
    ] = LOAD_TIMEOUT,
    drain_timeout: DrainTimeout = 600,
    compile_: Annotated[
        bool, typer.Option("--compile", help="First wait until its steps are compiled, or cannot be.")
    ] = False,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Serve an archive as a new version.

    Verifies, loads, warms up and probes it, and makes it the default. Requests that run on the version before end on
    it.
    """
    options = DeploymentOptions(key, promote, keep, load_timeout, drain_timeout, waits_for_compilation=compile_)
    files = RunningServer(run_directory).files  # before the long way of an archive from a registry
    report = reporter(quiet=quiet)
    with (
        local_archive(archive, files, required_key(files, key), report, progress(quiet=quiet)) as file,
        changing_server(run_directory, f"deploy {file.name}") as server,
    ):
        record = deploy_archive(server, file, options, report)
        say(f"{record.name} {record.version} {'is the default' if promote else 'is deployed beside the default'}")


@version_commands.command(epilog=examples("torchbridge promote 2.0"))
def promote(version: Version, *, model: Model = None, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """Make a deployed VERSION the default."""
    with changing_server(run_directory, f"promote {version}") as server:
        name, _ = server.state.model(model)
        lifecycle.promote(server, name, version)
        say(f"{name} {version} is the default")


@version_commands.command(epilog=examples("torchbridge rollback", "torchbridge rollback 1.0 --model tiny"))
def rollback(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", autocompletion=deployed_versions)] = None,
    *,
    model: Model = None,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Make the version before, or VERSION, the default again.

    It is still loaded, so this takes no time.
    """
    with changing_server(run_directory, f"rollback {version or ''}") as server:
        name, _ = server.state.model(model)
        target = lifecycle.rollback(server, name, version)
        say(f"{name} {target} is the default")


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
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Wait until VERSION's requests have ended, and delete it.

    It is unloaded, and its archive is deleted from the server's store.
    """
    with changing_server(run_directory, f"retire {version}") as server:
        if if_exists and not _is_deployed(server, model, version):
            say(f"{version} is not deployed: nothing to do")
            return
        name, _ = server.state.model(model)
        lifecycle.retire(server, name, version, drain_timeout, force=force)
        say(f"{name} {version} is retired")


def _is_deployed(server: RunningServer, model: str | None, version: str) -> bool:
    models = server.state.models
    return any(version in state.versions for name, state in models.items() if model in {None, name})


@version_commands.command("default-model", epilog=examples("torchbridge default-model tiny"))
def default_model(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=deployed_models)],
    *,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Choose the default model.

    It answers requests that name no model. `torchbridge status` shows which one it is.
    """
    with changing_server(run_directory, f"default-model {name}") as server:
        lifecycle.make_default_model(server, name)
        say(f"requests that name no model mean {name}")


@version_commands.command(epilog=examples("torchbridge scale 1.0 --workers 0", "torchbridge scale 1.0 --workers 1"))
def scale(
    version: Version,
    *,
    workers: Annotated[int, typer.Option(min=0, max=1, help="0 unloads the version, 1 loads it.")],
    model: Model = None,
    timeout: Annotated[
        float, typer.Option(min=1, callback=finite, help="Longest wait, in seconds, for a drain and for a load each.")
    ] = 900,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Unload a VERSION (0 workers), or load it again (1).

    Unloading frees its memory. The default version cannot be unloaded. More than one worker is not possible, because
    TorchServe would let them wait for each other (docs/versions.md).
    """
    with changing_server(run_directory, f"scale {version}") as server:
        name, _ = server.state.model(model)
        lifecycle.scale(server, name, version, workers, timeout=timeout, report=reporter(quiet=quiet))
        say(f"{name} {version} is {'loaded' if workers else 'unloaded'}")


@version_commands.command("recover", epilog=examples("torchbridge recover"))
def recover_interrupted(*, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """End the change of an interrupted command.

    Undoes it, or writes down that it is done. The next command that changes something does so first, too.
    """
    server = RunningServer(run_directory)
    with background_output(), server.locked("recover"):
        if not recover(server, say):
            say("nothing was interrupted")


@contextmanager
def changing_server(run_directory: Path, what: str) -> Iterator[RunningServer]:
    """The work goes on whether or not anybody reads what it says."""
    server = RunningServer(run_directory)
    with background_output(), changing(server, what, say):
        yield server
