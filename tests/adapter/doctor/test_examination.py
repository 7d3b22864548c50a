"""`torchbridge doctor`: where all is well nothing is found, and what it says."""

import errno
import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from adapter.cli import app
from adapter.doctor import machine, server
from adapter.doctor.examination import CHECKS, examine
from adapter.doctor.finding import Check, Finding, Scene

# What this machine is short of is no fault of the scene.
OF_ANY_MACHINE = [check for check in CHECKS if check.__module__ != machine.__name__ or check is machine.check_clock]


@pytest.mark.parametrize("check", OF_ANY_MACHINE, ids=lambda check: check.__name__)
def test_where_all_is_well_nothing_is_found(check: Check, scene: Scene) -> None:
    assert list(check(scene)) == []


def test_what_may_not_be_read_is_no_fault_of_the_doctor(scene: Scene) -> None:
    def check(_: Scene) -> Iterator[Finding]:
        raise PermissionError(errno.EACCES, "Permission denied", "/var/lib/torchbridge/versions.json")
        yield

    [finding] = examine(scene, [check]).findings
    assert finding.what == "/var/lib/torchbridge/versions.json: Permission denied."
    assert "as the user that runs the server" in (finding.remedy or "")


def test_a_check_that_fails_is_told_and_the_others_are_made(scene: Scene) -> None:
    def check_that_fails(_: Scene) -> Iterator[Finding]:
        yield from ()
        raise RuntimeError("unseen")

    examination = examine(scene, [check_that_fails, server.check_logs])
    assert [finding.what for finding in examination.findings] == [
        "check_that_fails itself failed: RuntimeError: unseen"
    ]


def test_the_command_says_it_in_words_and_for_programs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_RATE_LIMITS", "60/minute")
    arguments = ["doctor", "--run-directory", str(scene.run_directory), "--torchserve-config", str(scene.config)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 1
    assert "wrong: TORCHBRIDGE_RATE_LIMITS is no setting" in told.stdout
    assert f"{len(CHECKS)} checks: something is wrong" in told.stdout
    read = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert read["versions"]["torchserve"] == "0.12.0"
    assert any("TORCHBRIDGE_RATE_LIMITS" in finding["what"] for finding in read["findings"])
