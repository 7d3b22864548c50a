"""The command `torchbridge status`."""

import time
from contextlib import suppress
from typing import Annotated

import typer
from pydantic import ConfigDict, TypeAdapter

from adapter.command_line.command_group import command_group
from adapter.command_line.numbers import finite
from adapter.command_line.options import RUN_DIRECTORY, Json, RunDirectoryOption, examples
from adapter.command_line.plain_table import print_rows
from adapter.process.background_output import say
from adapter.process.stop_signals import Stopped
from adapter.versions.follow_record import FollowRecord
from adapter.versions.observed_server import ObservedServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState
from adapter.versions.status import (
    VersionStatus,
    as_rows,
    compilations_in_words,
    default_model_in_words,
    open_changes_in_words,
    server_status,
)

STATUSES = TypeAdapter(list[VersionStatus], config=ConfigDict(defer_build=True))

status_commands = command_group()


@status_commands.command(epilog=examples("torchbridge status", "torchbridge status --watch 2"))
def status(
    *,
    json_: Json = False,
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch",
            "-w",
            min=0.1,
            max=3_600,
            callback=finite,
            metavar="SECONDS",
            help="Show it again after so many seconds, until Ctrl-C.",
        ),
    ] = None,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Show each version: its role, workers and requests.

    Also its age, its digest, whether its steps are compiled, and the change of an interrupted command.
    """
    server = ObservedServer(run_directory)
    with suppress(*([Stopped] if watch else [])):  # Ctrl-C is how one leaves it, and no failure
        while True:
            statuses = server_status(server)
            if watch and not json_:
                _clear_terminal()
            _show(statuses, server.files, as_json=json_)
            if watch is None:
                return
            time.sleep(watch)


def _clear_terminal() -> None:
    """Does nothing where there is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - to import it takes as long as a look at a server

    Console().clear()


def _show(statuses: list[VersionStatus], files: ServerFiles, *, as_json: bool) -> None:
    if as_json:
        say(STATUSES.dump_json(statuses, indent=2).decode())
        return
    print_rows(as_rows(statuses))
    if line := default_model_in_words(statuses):
        say(line)
    for line in compilations_in_words(statuses):
        say(line)
    for line in open_changes_in_words(statuses):
        say(f"\n{line}")
    if followed := FollowRecord.read(files.followed):
        say(f"\n{followed.in_words(ServerState.read(files.state))}")
