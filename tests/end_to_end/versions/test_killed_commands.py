"""A command that is killed wherever it may be: the next one leaves the server in one state or the other."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from adapter.archives.archive import PROJECT
from adapter.versions.lifecycle import retire, rollback
from adapter.versions.recovery import changing
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.constant_load import ConstantLoad, constant_load

pytestmark = pytest.mark.torchserve

# All of them take 10 minutes (make soak); these are the ones between which a different thing has been done.
BEFORE_ALL, BEFORE_A_STEP = "before-Journal._write-1", "before-Journal._write-2"
EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("killed")) as running:
        yield running


def run(site: Site, point: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.end_to_end.versions.killed_command", point, *arguments]
    command += ["--run-directory", str(site.run_directory)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)


def points_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    points = [line.removeprefix("point ") for line in done.stdout.splitlines() if line.startswith("point ")]
    assert points
    if EVERY_POINT:
        return points
    # Between "after" one and "before" the next nothing lasting is done: killed there, it is all the same.
    return [point for point in points if point.startswith("after")]


def back_to_the_first(site: Site) -> None:
    with changing(site.server, "back", print):
        if site.default_version() != "1.0":
            rollback(site.server, "light", "1.0")
        for version in site.registered():
            if version != "1.0":
                retire(site.server, "light", version, 60)


def expect_only(site: Site, *versions: str, default: str) -> None:
    state = site.server.state.models["light"]
    assert site.server.journal.unfinished() is None
    assert (site.default_version(), state.default) == (default, default)
    assert site.registered() == sorted(state.versions) == sorted(versions)
    assert [name for name in site.stored() if name.endswith(".mar")] == sorted(f"light-{each}.mar" for each in versions)
    assert site.server.gateway.traffic().default_version("light") == default


def expect_that_nobody_noticed(load: ConstantLoad) -> None:
    load.wait_for(len(load.answers) + 10)
    assert load.failures == []


def test_a_deployment_that_is_killed_is_completed_by_the_same_command(site: Site) -> None:
    archive = site.archives.make("2.0")
    command = ("deploy", str(archive), "--key", str(site.archives.public_key))
    points = points_of(run(site, "none", *command))
    assert len(points) >= 15
    with constant_load(site.url) as load:
        for point in points:
            back_to_the_first(site)
            assert run(site, point, *command).returncode == -signal.SIGKILL, point
            again = run(site, "none", *command)
            assert again.returncode == 0, (point, again.stderr)
            expect_only(site, "1.0", "2.0", default="2.0")
            expect_that_nobody_noticed(load)
    back_to_the_first(site)


def test_a_deployment_that_is_killed_before_the_switch_is_undone_by_any_other_command(site: Site) -> None:
    archive = site.archives.make("2.0")
    command = ("deploy", str(archive), "--key", str(site.archives.public_key))
    for point in ("after-ModelStore.stage-1", "after-ModelStore.install-1", "after-ManagementClient.register-1"):
        assert run(site, point, *command).returncode == -signal.SIGKILL, point
        assert run(site, "none", "scale", "1.0", "--workers", "1").returncode == 0
        expect_only(site, "1.0", default="1.0")


def test_a_retirement_that_is_killed_is_completed(site: Site) -> None:
    site.deploy("2.0", promotes=False)
    points = points_of(run(site, "none", "retire", "2.0"))
    with constant_load(site.url) as load:
        for point in points:
            site.deploy("2.0", promotes=False)
            assert run(site, point, "retire", "2.0").returncode == -signal.SIGKILL, point
            with changing(site.server, "recovery", print):
                expect_only(site, *(("1.0", "2.0") if point == BEFORE_ALL else ("1.0",)), default="1.0")
            expect_that_nobody_noticed(load)


def test_a_rollback_that_is_killed_is_completed(site: Site) -> None:
    site.deploy("2.0")
    points = points_of(run(site, "none", "rollback"))
    for point in points:
        with changing(site.server, "forth", print):
            rollback(site.server, "light", "2.0") if site.default_version() != "2.0" else None
        assert run(site, point, "rollback").returncode == -signal.SIGKILL, point
        with changing(site.server, "recovery", print):
            default = site.default_version()
            expect_only(site, "1.0", "2.0", default=default)
        # That it was begun is all that is known: nothing was to be switched yet.
        assert default == ("2.0" if point in {BEFORE_ALL, "after-Journal._write-1", BEFORE_A_STEP} else "1.0")
    back_to_the_first(site)


def test_two_at_once_are_refused_and_the_message_says_who_is_there(site: Site) -> None:
    with site.server.locked("deploy light 9"):
        done = run(site, "none", "rollback")
    assert done.returncode == 5
    assert "Another command is changing this server: deploy light 9 (process " in done.stderr
