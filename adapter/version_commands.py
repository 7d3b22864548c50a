"""The commands of `torchbridge` that change which versions a running server serves, and show them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from adapter.background_output import background_output, say
from adapter.finite_numbers import finite
from adapter.settings import LOAD_TIMEOUT
from adapter.torchserve.loading import LOAD_TIMEOUT_SETTING
from adapter.torchserve.server_process import DEFAULT_RUN_DIRECTORY
from adapter.versions import lifecycle
from adapter.versions.deployment import DeploymentOptions
from adapter.versions.deployment import deploy as deploy_archive
from adapter.versions.desired_state import DesiredState, local_archives, verify_desired
from adapter.versions.plan import plan as plan_actions
from adapter.versions.pulled_archives import local_archive
from adapter.versions.recovery import changing, recover
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer, ServerFiles
from adapter.versions.settling import state_after
from adapter.versions.status import (
    as_table,
    compilations_in_words,
    default_model_in_words,
    open_changes_in_words,
    server_status,
)
from adapter.versions.stored_archives import as_table as stored_archives_table
from adapter.versions.stored_archives import stored_archives
from adapter.whole_table import print_whole

RunDirectoryOption = Annotated[
    Path,
    typer.Option(envvar="TORCHBRIDGE_RUN_DIRECTORY", help="Of torchbridge serve: its keys, store, logs and record."),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Needed where several are served.")]
Version = Annotated[str, typer.Argument(metavar="VERSION")]
Key = Annotated[
    Path | None,
    typer.Option(metavar="PUB", help="Take only what is signed with this public key; else the key that serve has."),
]
DrainTimeout = Annotated[float, typer.Option(min=0, callback=finite, help="Seconds for what runs on a version to end.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]

version_commands = typer.Typer()


@version_commands.command()
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
        typer.Option(min=1, callback=finite, envvar=LOAD_TIMEOUT_SETTING, help="Seconds for its workers to be ready."),
    ] = LOAD_TIMEOUT,
    drain_timeout: DrainTimeout = 600,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Wait until its steps are compiled, or cannot be.")
    ] = False,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Serve an archive: verify, load, warm up, probe, switch over, and let what runs on the version before end."""
    options = DeploymentOptions(key, promote, keep, load_timeout, drain_timeout, waits_for_compilation=compile_)
    files = RunningServer(run_directory).files  # before the long way of an archive from a registry
    with (
        local_archive(archive, files, required_key(files, key), say) as file,
        changing_server(run_directory, f"deploy {file.name}") as server,
    ):
        record = deploy_archive(server, file, options, say)
        say(f"{record.name} {record.version} {'is the default' if promote else 'is deployed beside the default'}")


@version_commands.command()
def promote(
    version: Version, *, model: Model = None, run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY
) -> None:
    """Make a deployed VERSION the default."""
    with changing_server(run_directory, f"promote {version}") as server:
        name, _ = server.state.model(model)
        lifecycle.promote(server, name, version)
        say(f"{name} {version} is the default")


@version_commands.command()
def rollback(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]")] = None,
    *,
    model: Model = None,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Make the version that was the default before, or VERSION, the default again. It is loaded: this takes no time."""
    with changing_server(run_directory, f"rollback {version or ''}") as server:
        name, _ = server.state.model(model)
        target = lifecycle.rollback(server, name, version)
        say(f"{name} {target} is the default")


@version_commands.command()
def retire(
    version: Version,
    *,
    model: Model = None,
    drain_timeout: DrainTimeout = 600,
    force: Annotated[bool, typer.Option("--force", help="Also the last version of a model.")] = False,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Let what runs on VERSION end, then unload it and delete its archive from the server's store."""
    with changing_server(run_directory, f"retire {version}") as server:
        name, _ = server.state.model(model)
        lifecycle.retire(server, name, version, drain_timeout, force=force)
        say(f"{name} {version} is retired")


@version_commands.command("default-model")
def default_model(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Make NAME the model that requests mean which name none; torchbridge status shows which one it is."""
    with changing_server(run_directory, f"default-model {name}") as server:
        lifecycle.make_default_model(server, name)
        say(f"requests that name no model mean {name}")


@version_commands.command()
def scale(
    version: Version,
    *,
    workers: Annotated[int, typer.Option(min=0, max=1)],
    model: Model = None,
    timeout: Annotated[
        float, typer.Option(min=1, callback=finite, help="Seconds, for a drain and for a load each.")
    ] = 900,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Unload a VERSION that is not the default, to free its memory (0), or load it again (1).

    More than one worker is not to be had: TorchServe lets them wait for each other (docs/versions.md).
    """
    with changing_server(run_directory, f"scale {version}") as server:
        name, _ = server.state.model(model)
        lifecycle.scale(server, name, version, workers, timeout=timeout, report=say)
        say(f"{name} {version} is {'loaded' if workers else 'unloaded'}")


@version_commands.command()
def apply(
    models: Annotated[Path, typer.Argument(metavar="models.yaml")],
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    key: Key = None,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
) -> None:
    """Bring the server to the state in models.yaml: deploy, scale, promote and retire what it takes.

    All archives that it names are verified first.
    """
    desired = DesiredState.read(models)
    if plan:
        server = RunningServer(run_directory)
        required = required_key(server.files, key)
        with local_archives(desired, server.files, required, lambda _: None) as local:
            verify_desired(local, required)
            state, first = state_after(server)
            lines = [action.description for action in plan_actions(state, local)]
        say("\n".join(([f"first, what was interrupted: {first}"] if first else []) + lines) or "nothing to do")
        return
    files = RunningServer(run_directory).files
    with (
        local_archives(desired, files, required_key(files, key), say) as local,
        changing_server(run_directory, f"apply {models.name}") as server,
    ):
        verify_desired(local, required_key(server.files, key))
        actions = plan_actions(server.state, local)
        options = DeploymentOptions(key, load_timeout=server.settings.load_timeout)
        for action in actions:
            say(action.description)
            action.carry_out(server, options, lambda line: say(f"  {line}"))
        if not actions:
            say("nothing to do")


@version_commands.command("recover")
def recover_interrupted(*, run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY) -> None:
    """Undo what an interrupted command left, or write down that it is done. The next change does so first, too."""
    server = RunningServer(run_directory)
    with background_output(), server.locked("recover"):
        if not recover(server, say):
            say("nothing was interrupted")


@version_commands.command()
def status(*, json_: Json = False, run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY) -> None:
    """Show each version: its role, workers, what runs and waits, its age and digest."""
    statuses = server_status(RunningServer(run_directory))
    if json_:
        say(json.dumps([each.model_dump(mode="json") for each in statuses], indent=2))
    else:
        print_whole(as_table(statuses))
        if line := default_model_in_words(statuses):
            say(line)
        for line in compilations_in_words(statuses):
            say(line)
        for line in open_changes_in_words(statuses):
            say(f"\n{line}")


@version_commands.command("list")
def list_archives(*, json_: Json = False, run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY) -> None:
    """Show the archives in the server's store, also while it does not run."""
    archives = stored_archives(ServerFiles(run_directory.resolve()))
    if json_:
        say(json.dumps([each.model_dump() for each in archives], indent=2))
    else:
        print_whole(stored_archives_table(archives))


@contextmanager
def changing_server(run_directory: Path, what: str) -> Iterator[RunningServer]:
    """What is said is no part of the work: it goes on whether or not anybody reads, and does not wait for who does."""
    server = RunningServer(run_directory)
    with background_output(), changing(server, what, say):
        yield server
