"""The command `torchbridge completion`."""

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from adapter.command_line.command_group import command_group
from adapter.command_line.options import COMPLETION_VARIABLE, examples
from adapter.process.background_output import say


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


completion_commands = command_group()


@completion_commands.command(
    epilog=examples(
        "torchbridge completion bash >> ~/.bashrc",
        "torchbridge completion zsh > ~/.zfunc/_torchbridge",
        "torchbridge completion fish > ~/.config/fish/completions/torchbridge.fish",
    )
)
def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print what completes words in your shell.

    Commands, options, models and deployed versions are completed. For zsh ~/.zfunc has to
    be in fpath, before compinit.
    """
    say(get_completion_script(prog_name="torchbridge", complete_var=COMPLETION_VARIABLE, shell=shell.value))
