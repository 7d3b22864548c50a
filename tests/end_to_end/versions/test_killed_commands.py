"""A command that is cut short wherever it may be: what it was at is done, undone, or shown as open.

By SIGKILL, SIGTERM, SIGHUP and a disk that is full from there on. A reader of its output that goes away is no cut.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from adapter.versions.lifecycle import promote, retire, scale
from adapter.versions.recovery import changing
from adapter.versions.status import server_status
from tests.end_to_end.versions import killed_command
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import ConstantLoad, constant_load
from tests.end_to_end.versions.light_archives import LightArchives
from tests.full_disk import small_disk
from tests.project import PROJECT
from tests.waiting import PATIENCE_WITH_WORKERS as PATIENCE

pytestmark = pytest.mark.torchserve

# All of them take half an hour (make soak). Without, a deployment meets each fault once, and each other command one.
EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
# Three of a command's four seconds are its imports: they begin after them.
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(
    ["adapter.commands.deploy", "adapter.commands.versions", "adapter.commands.canaries", killed_command.__name__]
)
FAULTS = ("SIGKILL", "full disk", "SIGTERM", "closed pipe", "SIGHUP")

DISK_BYTES = 96 * 2**20
SIGNALS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 128 + signal.SIGTERM, "SIGHUP": 128 + signal.SIGHUP}
EXIT_DISK_FULL = 6


@dataclass(frozen=True)
class Command:
    """One that is cut short. `versions` are deployed before it, beside 1.0; the `default` is one of them or 1.0."""

    name: str
    arguments: tuple[str, ...]
    versions: tuple[str, ...] = ("2.0",)
    default: str = "1.0"
    default_after: str = "1.0"


COMMANDS = (
    Command("deploy", ("deploy", "ARCHIVE", "--key", "KEY"), versions=(), default_after="2.0"),
    Command("deploy beside", ("deploy", "ARCHIVE", "--key", "KEY", "--no-promote"), versions=()),
    Command("promote", ("promote", "2.0"), default_after="2.0"),
    Command("rollback", ("rollback",), default="2.0"),
    Command("retire", ("retire", "2.0")),
    Command("scale", ("scale", "2.0", "--workers", "0")),
)


class Whole(NamedTuple):
    """A command that has been run to its end: where it may be cut short, and what is there afterwards.

    Between "after" one thing and "before" the next nothing lasting is done, so that it is all the same.
    """

    points: list[str]
    after: tuple[object, ...]


WHOLE: dict[Command, Whole] = {}  # on whatever site it was


def cases(*faults: str) -> list[object]:
    """Each command with each of these faults, or only those that are for every day."""
    return [
        pytest.param(command, fault, id=f"{command.name}, {fault}")
        for number, command in enumerate(COMMANDS)
        for fault in faults
        if EVERY_POINT or number == 0 or FAULTS[number - 1] == fault
    ]


def run(site: Site, point: str, *arguments: str, fault: str = "SIGKILL") -> subprocess.CompletedProcess[str]:
    names = {"ARCHIVE": str(site.archives.directory / "light-2.0" / "light-2.0.mar")}
    names["KEY"] = str(site.archives.public_key)
    words = [fault, point, *(names.get(each, each) for each in arguments), "--run-directory", str(site.run_directory)]
    if fault != "closed pipe":  # which is also about the end of Python
        return run_warm(words)
    command = [sys.executable, "-m", killed_command.__name__, *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def run_warm(words: list[str]) -> subprocess.CompletedProcess[str]:
    """In a fork of a process that has imported all of it."""
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("stdout", "stderr")]
        process = WARM.Process(target=killed_command.main_in_files, args=(*files, *words))
        process.start()
        try:
            process.join(PATIENCE)
            assert process.exitcode is not None, "the command did not end"
        finally:  # one that hangs would keep the lock of the journal
            process.kill()
            process.join()
        return subprocess.CompletedProcess(words, process.exitcode, *(file.read_text() for file in files))


def run_whole(site: Site, command: Command) -> Whole:
    done = run(site, "none", *command.arguments)
    assert done.returncode == 0, done.stderr
    first, *points = [line.removeprefix("point ") for line in done.stdout.splitlines() if line.startswith("point ")]
    assert len(points) >= 8
    assert site.default_version() == command.default_after
    return Whole([first, *(point for point in points if point.startswith("after"))], seen(site))


def points_for(fault: str, points: list[str]) -> list[str]:
    """All of them, or one that the other faults do not have."""
    _, *lasting = points
    return points if EVERY_POINT else [lasting[FAULTS.index(fault) * len(lasting) // len(FAULTS)]]


def prepare(site: Site, command: Command) -> None:
    """As it was before the command."""
    with changing(site.server, "back", print):
        state = site.server.state.models["light"]
        if state.default != "1.0":
            promote(site.server, "light", "1.0")
        for version, deployed in state.versions.items():
            if version not in {"1.0", *command.versions}:
                retire(site.server, "light", version, 60)
            elif not deployed.workers:
                scale(site.server, "light", version, 1, timeout=60, report=print)
    for version in command.versions:
        if version not in site.registered():
            site.deploy(version, promotes=False)
    with changing(site.server, "forth", print):
        if command.default != "1.0":
            promote(site.server, "light", command.default)


def seen(site: Site) -> tuple[object, ...]:
    """What all who know something of the versions say; they have to agree."""
    state = site.server.state.models["light"]
    default = site.default_version()
    assert (state.default, site.server.gateway.traffic().default_version("light")) == (default, default)
    assert site.registered() == sorted(state.versions)
    archives = [name for name in site.stored() if name.endswith(".mar")]
    assert archives == sorted(f"light-{each}.mar" for each in state.versions)
    return default, {version: deployed.workers for version, deployed in sorted(state.versions.items())}


def opened(site: Site) -> list[str]:
    """The changes that `status` shows as open."""
    return [each.version for each in server_status(site.server) if each.open_change is not None]


def expect_done_undone_or_open(site: Site, ends: list[tuple[object, ...]], fault: str) -> None:
    """And that a command which has nothing to do with it does not finish it."""
    default = site.default_version()
    if not opened(site):
        assert site.server.journal.unfinished() is None
        assert seen(site) in ends
    else:
        assert fault in {"SIGKILL", "full disk"}
    (site.run_directory.parent / "filler").unlink(missing_ok=True)
    with changing(site.server, "something else", print):
        scale(site.server, "light", "1.0", 1, timeout=60, report=print)
    assert site.default_version() == default
    assert site.server.journal.unfinished() is None
    assert seen(site) in ends


def expect_that_nobody_noticed(load: ConstantLoad) -> None:
    load.wait_for(len(load.answers) + 10)
    assert load.failures == []


def cut_short_everywhere(site: Site, command: Command, fault: str, codes: set[int]) -> None:
    site.archives.make("2.0")
    prepare(site, command)
    before = seen(site)
    if command not in WHOLE:
        WHOLE[command] = run_whole(site, command)
    points, after = WHOLE[command]
    with constant_load(site.url) as load:
        for point in points_for(fault, points):
            prepare(site, command)
            cut = run(site, point, *command.arguments, fault=fault)
            assert f"here is {point}\n" in cut.stderr
            assert cut.returncode in codes, (point, cut.returncode, cut.stderr)
            if fault == "closed pipe":
                assert seen(site) == after, point
            expect_done_undone_or_open(site, [before, after], fault)
            expect_that_nobody_noticed(load)


@pytest.mark.parametrize(("command", "fault"), cases("SIGKILL", "SIGTERM", "SIGHUP"))
def test_a_signal_leaves_nothing_half_done(site: Site, command: Command, fault: str) -> None:
    cut_short_everywhere(site, command, fault, {SIGNALS[fault]})


@pytest.mark.parametrize(("command", "fault"), cases("closed pipe"))
def test_a_reader_that_goes_away_changes_nothing(site: Site, command: Command, fault: str) -> None:
    cut_short_everywhere(site, command, fault, {0})


@pytest.mark.parametrize(("command", "fault"), cases("full disk"))
def test_a_disk_that_fills_leaves_nothing_half_done(full_site: Site, command: Command, fault: str) -> None:
    cut_short_everywhere(full_site, command, fault, {0, EXIT_DISK_FULL})


def test_an_archive_that_only_torchserve_has_no_space_for_is_said_in_words_and_leaves_nothing(full_site: Site) -> None:
    command = COMMANDS[0]
    full_site.archives.make("2.0")
    prepare(full_site, command)
    before = seen(full_site)
    refused = run(full_site, "before-ManagementClient.register-1", *command.arguments, fault="full disk")
    assert refused.returncode == EXIT_DISK_FULL, refused.stderr
    assert "torchbridge: light 2.0 needs " in refused.stderr
    assert (seen(full_site), full_site.server.journal.unfinished()) == (before, None)
    assert list(full_site.server.files.unpacked.glob("models*.download")) == []


@pytest.fixture(scope="module")
def full_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its run directory lies on a disk of its own, and its archives on another one."""
    directory = tmp_path_factory.mktemp("full")
    with (
        small_disk(directory / "disk", DISK_BYTES) as disk,
        running_site(disk, archives=LightArchives(directory)) as running,
    ):
        yield running


def test_the_same_deployment_again_ends_with_the_new_default(site: Site) -> None:
    command = COMMANDS[0]
    site.archives.make("2.0")
    for fault, code in SIGNALS.items():
        prepare(site, command)
        cut = run(site, "after-ManagementClient.register-1", *command.arguments, fault=fault)
        assert cut.returncode == code, cut.stderr
        again = run(site, "none", *command.arguments)
        assert again.returncode == 0, again.stderr
        assert seen(site) == ("2.0", {"1.0": 1, "2.0": 1})


@pytest.mark.parametrize("fault", ["SIGTERM", "SIGHUP"])
def test_what_a_signal_has_stopped_says_what_became_of_it(site: Site, fault: str) -> None:
    command = COMMANDS[0]
    site.archives.make("2.0")
    prepare(site, command)
    stopped = run(site, "after-ManagementClient.register-1", *command.arguments, fault=fault)
    assert stopped.returncode == SIGNALS[fault]
    assert stopped.stderr.splitlines()[-2:] == [  # behind the stages
        f"torchbridge: stopped by {fault}",
        "torchbridge: the deploy of light 2.0 is undone: what is there of it is taken away",
    ]


def test_two_at_once_are_refused_and_the_message_says_who_is_there(site: Site) -> None:
    with site.server.locked("deploy light 9"):
        done = run(site, "none", "rollback")
    assert done.returncode == 5
    assert "Another command is changing this server: deploy light 9 (process " in done.stderr
