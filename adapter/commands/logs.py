"""The command `torchbridge logs`."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from adapter.command_line.command_group import command_group
from adapter.command_line.options import RUN_DIRECTORY, Json, RunDirectoryOption, examples
from adapter.log_lines.log_line import LogLine
from adapter.logs.run_logs import RunLogs
from adapter.process.background_output import say
from adapter.process.stop_signals import Stopped

_SECONDS_BETWEEN_LOOKS = 0.25

logs_commands = command_group()


class Level(StrEnum):
    """In ascending order."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@logs_commands.command(epilog=examples("torchbridge logs --follow", "torchbridge logs --level warning --tail 50"))
def logs(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    level: Annotated[Level, typer.Option(help="The least that is shown.")] = Level.INFO,
    tail: Annotated[int | None, typer.Option(min=0, help="Begin with this many lines; else with the first.")] = None,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Show what gateway, TorchServe and workers have logged.

    In the order of time, also over a restart.
    """
    # Ctrl-C is how one leaves it, and no failure.
    with RunLogs(run_directory) as run_logs, suppress(Stopped):
        if run_logs.is_empty and not follow:
            raise typer.BadParameter(f"there are no logs in {run_directory}", param_hint="--run-directory")
        shown = _at_least(level, run_logs.lines())
        _print(shown if tail is None else deque(shown, tail), as_json=json_)
        while follow:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            _print(_at_least(level, run_logs.new_lines()), as_json=json_)


def _at_least(level: Level, lines: Iterable[LogLine]) -> Iterator[LogLine]:
    levels = list(Level)
    told = frozenset(levels[levels.index(level) :])
    return (line for line in lines if line.level in told)


def _print(lines: Iterable[LogLine], *, as_json: bool) -> None:
    for line in lines:
        say(line.json_line() if as_json else _text(line))


def _text(line: LogLine) -> str:
    when = line.time.astimezone().isoformat(" ", "milliseconds")
    who = f"{line.source} {line.worker}" if line.worker else line.source
    said = [line.message, *(line.exception or "").splitlines()]
    return "\n".join(f"{when} {line.level.upper():8} {who}: {_printable(text)}" for text in said)


def _printable(text: str) -> str:
    """Text of callers or models in a line must not steer the terminal."""
    return "".join(each if each.isprintable() or each == "\t" else f"\\x{ord(each):02x}" for each in text)
