"""Arguments and options of several commands, in the same words everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from adapter.command_line.deployed_names import deployed_models, deployed_versions
from adapter.command_line.numbers import finite
from adapter.installation import INSTALLATION

# typer's name for the variable that a completing shell sets.
COMPLETION_VARIABLE = "_TORCHBRIDGE_COMPLETE"
RUN_DIRECTORY, CONFIG_FILE = INSTALLATION.state, INSTALLATION.shipped / "config.properties"

RunDirectoryOption = Annotated[
    Path,
    typer.Option(
        envvar="TORCHBRIDGE_RUN_DIRECTORY", help="The directory of the server's keys, store, logs and record."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME", help="The model; needed if several are served.", autocompletion=deployed_models
    ),
]
Version = Annotated[str, typer.Argument(metavar="VERSION", autocompletion=deployed_versions)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs; docs/command-line.md has the fields.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ends, and not how far it is.")]
TorchServeConfig = Annotated[Path, typer.Option(help="The file of TorchServe's ports and limits.")]
Archive = Annotated[Path, typer.Argument(metavar="FILE.mar")]


def key_file(words: str, metavar: str) -> typer.models.OptionInfo:
    """An option for a file with a key. One that cannot be read is refused by the option's name."""
    option: typer.models.OptionInfo = typer.Option(
        metavar=metavar, help=words, exists=True, dir_okay=False, readable=True
    )
    return option


RequiredKey = Annotated[
    Path | None,
    key_file(
        "Take only archives that are signed with this key, or by these identities. Default: serve's --key.", "PUB"
    ),
]
DrainTimeout = Annotated[
    float, typer.Option(min=0, callback=finite, help="Longest wait, in seconds, until a version's requests have ended.")
]


def settings_file(words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        "--config", metavar="FILE.toml", envvar="TORCHBRIDGE_CONFIG", help=words
    )
    return option


def examples(*commands: str) -> str:
    """The end of a command's help. A test parses each of them."""
    return "\n\n".join(("Examples:" if len(commands) > 1 else "Example:", *commands))
