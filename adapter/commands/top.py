"""The command `torchbridge top`."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console, RenderableType
from rich.live import Live

from adapter.command_line.command_group import command_group
from adapter.command_line.numbers import finite
from adapter.command_line.options import RUN_DIRECTORY, Json, RunDirectoryOption, examples
from adapter.command_line.tables import print_table
from adapter.control.client import GatewayNotRunning
from adapter.errors import TorchbridgeError
from adapter.process.background_output import say
from adapter.process.stop_signals import Stopped
from adapter.top.measurement import WINDOW_SECONDS, Measurement, Row
from adapter.top.view import view, without_answer
from adapter.versions.errors import ServerNotRunning
from adapter.versions.running_server import RunningServer

ROWS = TypeAdapter(list[Row])

top_commands = command_group()


@top_commands.command(epilog=examples("torchbridge top", "torchbridge top --json --interval 10"))
def top(
    *,
    interval: Annotated[float, typer.Option(min=0.1, max=3_600, callback=finite, help="Seconds between looks.")] = 1,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Show what each version does right now, until Ctrl-C.

    Requests, tokens a second, first tokens, memory. With --json, or without a terminal: two looks, and what is between
    them.
    """
    measurement = Measurement(RunningServer(run_directory))
    rows = measurement.rows()
    console = Console()
    if json_ or not console.is_terminal or console.is_dumb_terminal:
        time.sleep(interval)
        _print(measurement.rows(), as_json=json_)
        return
    # Ctrl-C is how one leaves it, and no failure.
    with (
        suppress(Stopped),
        Live(view(rows, WINDOW_SECONDS, console.width), console=console, screen=True, auto_refresh=False) as live,
    ):
        for seen in views(measurement.rows, interval, console):
            live.update(seen, refresh=True)


def views(look: Callable[[], list[Row]], interval: float, console: Console) -> Iterator[RenderableType]:
    """The views one after the other, also while the gateway or TorchServe restarts, which is when one looks."""
    while True:
        time.sleep(interval)
        try:
            yield view(look(), WINDOW_SECONDS, console.width)
        except (GatewayNotRunning, ServerNotRunning, TorchbridgeError) as error:
            yield without_answer(error)


def _print(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        say(ROWS.dump_json(rows, indent=2).decode())
    else:
        print_table(view(rows, WINDOW_SECONDS))
