"""The command `torchbridge deploy`."""

import time
from typing import Annotated

import typer

from adapter.archives.progress import progress
from adapter.command_line.command_group import command_group
from adapter.command_line.numbers import finite
from adapter.command_line.options import (
    RUN_DIRECTORY,
    DrainTimeout,
    Json,
    Quiet,
    RequiredKey,
    RunDirectoryOption,
    examples,
)
from adapter.command_line.result import show
from adapter.command_line.stages import reporter
from adapter.commands.changing_server import changing_server
from adapter.settings import LOAD_TIMEOUT
from adapter.torchserve.loading import LOAD_TIMEOUT_SETTING
from adapter.versions.deployment import DeploymentOptions
from adapter.versions.deployment import deploy as deploy_archive
from adapter.versions.pulled_archives import local_archive
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer

deploy_commands = command_group()


@deploy_commands.command(
    epilog=examples(
        "torchbridge deploy tiny-2.0.mar",
        "torchbridge deploy tiny-2.0.mar --no-promote",
        "torchbridge deploy oci://registry.example.com/models/tiny:2.0",
    )
)
def deploy(
    archive: Annotated[str, typer.Argument(metavar="FILE.mar_OR_oci://…")],
    *,
    key: RequiredKey = None,
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
    json_: Json = False,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Serve an archive as a new version.

    Verifies, loads, warms up and probes it, and makes it the default. Requests that run on the version before end on
    it.
    """
    began = time.monotonic()
    options = DeploymentOptions(key, promote, keep, load_timeout, drain_timeout, waits_for_compilation=compile_)
    files = RunningServer(run_directory).files  # before the long way of an archive from a registry
    report = reporter(quiet=quiet)
    with (
        local_archive(archive, files, required_key(files, key), report, progress(quiet=quiet)) as file,
        changing_server(run_directory, f"deploy {file.name}", began=began) as change,
    ):
        record = deploy_archive(change.server, file, options, report)
        result = change.of("deploy", record.name, record.version)
    show(result, as_json=json_)
