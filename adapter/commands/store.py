"""The command `torchbridge list`."""

from pydantic import TypeAdapter

from adapter.command_line.command_group import command_group
from adapter.command_line.options import RUN_DIRECTORY, Json, RunDirectoryOption, examples
from adapter.command_line.plain_table import print_rows
from adapter.process.background_output import say
from adapter.versions.server_files import ServerFiles
from adapter.versions.stored_archives import StoredArchive, as_rows, stored_archives

STORED_ARCHIVES = TypeAdapter(list[StoredArchive])

store_commands = command_group()


@store_commands.command("list", epilog=examples("torchbridge list"))
def list_archives(*, json_: Json = False, run_directory: RunDirectoryOption = RUN_DIRECTORY) -> None:
    """Show the archives in the server's store.

    This works also while the server does not run.
    """
    archives = stored_archives(ServerFiles(run_directory.resolve()))
    if json_:
        say(STORED_ARCHIVES.dump_json(archives, indent=2).decode())
    else:
        print_rows(as_rows(archives))
