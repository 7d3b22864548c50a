"""The command `torchbridge list`."""

import typer
from pydantic import TypeAdapter

from adapter.command_line.options import RUN_DIRECTORY, Json, RunDirectoryOption, examples
from adapter.command_line.whole_table import print_whole
from adapter.process.background_output import say
from adapter.versions.server_files import ServerFiles
from adapter.versions.stored_archives import StoredArchive, as_table, stored_archives

STORED_ARCHIVES = TypeAdapter(list[StoredArchive])

store_commands = typer.Typer()


@store_commands.command("list", epilog=examples("torchbridge list"))
def list_archives(*, json_: Json = False, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """Show the archives in the server's store.

    This works also while the server does not run.
    """
    archives = stored_archives(ServerFiles(run_directory.resolve()))
    if json_:
        say(STORED_ARCHIVES.dump_json(archives, indent=2).decode())
    else:
        print_whole(as_table(archives))
