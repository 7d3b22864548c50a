"""`torchbridge rollout`: one models.yaml for the servers of many hosts, some at a time, and back again."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field, TypeAdapter

from adapter.command_line.command_group import command_group
from adapter.command_line.default_command import BeginUnlessSaid
from adapter.command_line.numbers import finite
from adapter.command_line.options import Json, Quiet, examples
from adapter.command_line.result import Result, Seconds, seconds_since, show
from adapter.command_line.stages import reporter
from adapter.durable.secret_file import NotSecret, check_secrecy
from adapter.installation import INSTALLATION
from adapter.process.background_output import background_output, say
from adapter.rollout.carrying_out import OrderSender
from adapter.rollout.errors import RolloutRefused
from adapter.rollout.host import Host
from adapter.rollout.journal import HostProgress, Rollout, RolloutJournal, Stage
from adapter.rollout.rollout import RolloutController
from adapter.rollout.words import in_words
from adapter.versions.desired_state import DesiredState
from adapter.versions.rollout_orders import check_archive

KEY_VARIABLE = "TORCHBRIDGE_ROLLOUT_KEY"
_ALL = 100  # percent

JournalOption = Annotated[Path, typer.Option("--journal", help="Where it is written down how far the rollout is.")]
KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help=f"Has a rollout key of the hosts; else {KEY_VARIABLE} is one.")
]
Timeout = Annotated[float, typer.Option(min=1, callback=finite, help="Seconds for each host.")]
_JOURNAL = INSTALLATION.state / "rollout.jsonl"

STATUS = TypeAdapter(Rollout | None)

_IN_WORDS = {
    Stage.DONE: "All hosts serve it. torchbridge rollout abort goes back, rollout finish takes away what it has "
    "replaced.",
    Stage.ABORTED: "All hosts serve what they served before.",
    Stage.FINISHED: "All hosts serve what the file names, and nothing else.",
}


class RolloutResult(Result):
    """What the commands show that change many hosts. `rollout status --json` has more."""

    id: str = Field(description="The id of the rollout.")
    stage: Stage = Field(description="What has become of the rollout.")
    defaults: dict[str, str] = Field(description="The default version of each model that the file names.")
    hosts: dict[str, HostProgress] = Field(description="What was done last on each host that was changed.")
    seconds: Seconds

    def in_words(self) -> str:
        return _IN_WORDS[self.stage]


rollout_commands = command_group(BeginUnlessSaid, no_args_is_help=True)


@rollout_commands.callback(
    epilog=examples("torchbridge rollout models.yaml --hosts a:8000,b:8000", "torchbridge rollout status")
)
def rollout() -> None:
    """Have many hosts serve what a models.yaml says.

    One after the other, and back again on all of them. `rollout models.yaml --hosts a:8000,b:8000` begins one, as
    `rollout begin` does.
    """


@rollout_commands.command(
    epilog=examples("torchbridge rollout begin models.yaml --hosts a:8000,b:8000 --at-once 25% --key-file rollout-keys")
)
def begin(
    models: Annotated[Path, typer.Argument(metavar="models.yaml")],
    *,
    hosts: Annotated[str, typer.Option(help="The gateways of all hosts: a:8000,https://b between commas.")],
    at_once: Annotated[str, typer.Option(metavar="NUMBER|SHARE%", help="How many hosts change at a time.")] = "1",
    key_file: KeyFile = None,
    timeout: Timeout = 3_600,
    journal: JournalOption = _JOURNAL,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Deploy what models.yaml names to every host, and make its defaults the default there. Nothing is taken away.

    Stops at the first host that fails. The same command goes on, also where it was killed.
    """
    began, desired, names = time.monotonic(), _desired(models), _host_names(hosts)
    with _controller(key_file, timeout, journal, quiet=quiet) as controller:
        rollout = controller.roll_out(names, desired, _number_at_once(at_once, len(names)))
    _show(rollout, began, as_json=json_)


@rollout_commands.command(epilog=examples("torchbridge rollout abort --key-file rollout-keys"))
def abort(
    *,
    key_file: KeyFile = None,
    timeout: Timeout = 3_600,
    journal: JournalOption = _JOURNAL,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have every host that the last rollout has changed serve what it served before."""
    began = time.monotonic()
    with _controller(key_file, timeout, journal, quiet=quiet) as controller:
        rollout = controller.abort()
    _show(rollout, began, as_json=json_)


@rollout_commands.command(epilog=examples("torchbridge rollout finish --key-file rollout-keys"))
def finish(
    *,
    key_file: KeyFile = None,
    timeout: Timeout = 3_600,
    journal: JournalOption = _JOURNAL,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take away on every host what the file of the last rollout does not name. After it there is no abort."""
    began = time.monotonic()
    with _controller(key_file, timeout, journal, quiet=quiet) as controller:
        rollout = controller.finish()
    _show(rollout, began, as_json=json_)


@rollout_commands.command(epilog=examples("torchbridge rollout status --json"))
def status(*, json_: Json = False, journal: JournalOption = _JOURNAL) -> None:
    """Show how far the last rollout is on each host. No host is asked."""
    last = RolloutJournal(journal).last()
    if json_:
        say(STATUS.dump_json(last, indent=2).decode())
    elif last is None:
        say("There was no rollout from here.")
    else:
        for line in in_words(last, datetime.now(UTC)):
            say(line)


@contextmanager
def _controller(key_file: Path | None, timeout: float, journal: Path, *, quiet: bool) -> Iterator[RolloutController]:
    key, report = _key(key_file), reporter(quiet=quiet)
    kept = RolloutJournal(journal)
    with background_output(), kept.locked():
        yield RolloutController(kept, OrderSender(report, timeout), lambda name: Host(name, key), report)


def _show(rollout: Rollout, began: float, *, as_json: bool) -> None:
    result = RolloutResult(
        id=rollout.id,
        stage=rollout.stage,
        defaults={name: model.default for name, model in rollout.begun.desired.models.items()},
        hosts=rollout.hosts,
        seconds=seconds_since(began),
    )
    show(result, as_json=as_json)


def _desired(models: Path) -> DesiredState:
    desired = DesiredState.read(models.absolute())
    for model in desired.models.values():
        for version in model.versions.values():
            check_archive(version.archive)
    return desired


def _host_names(hosts: str) -> list[str]:
    names = [name.strip() for name in hosts.split(",") if name.strip()]
    for name in names:
        Host(name, "")
    if not names or len(names) != len(set(names)):
        raise RolloutRefused("--hosts names each host once, between commas.")
    return names


def _number_at_once(text: str, num_hosts: int) -> int:
    """The number of hosts at once; of a share at least one."""
    number, percent, rest = text.partition("%")
    if rest or not number.isdecimal() or not int(number) or (percent and int(number) > _ALL):
        raise typer.BadParameter("must be a number of hosts, or a share such as 25%", param_hint="--at-once")
    return math.ceil(num_hosts * int(number) / _ALL) if percent else int(number)


def _key(file: Path | None) -> str:
    """The key, from a private file or the environment: others could see the value of an option."""
    if file is None:
        key = os.environ.get(KEY_VARIABLE, "")
    else:
        with file.open("rb") as opened:
            try:
                check_secrecy(file, os.fstat(opened.fileno()))
            except NotSecret as error:
                raise RolloutRefused(str(error)) from error
            key = opened.read().decode("utf-8-sig", "replace")
    key = key.strip().rpartition(":")[2]  # a file with `name:key`, as the hosts have it, is one, too
    if not key.isascii() or not key.isprintable() or not key:
        raise RolloutRefused(f"A rollout key of the hosts is needed: {KEY_VARIABLE}, or --key-file.")
    return key
