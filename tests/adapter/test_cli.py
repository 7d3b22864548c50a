"""The command line: what `--version` prints, and a failure in one line."""

import json
import platform
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from adapter import cli
from tests.adapter.commands.called_command import run
from tests.project import PROJECT


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["/nowhere", "--name", "a", "--version", "1"], "/nowhere is not a directory", id="no model"),
        pytest.param(["models", "--name", "a", "--version", "1"], "has no config.json", id="not a model"),
        pytest.param(["models/tiny", "--name", "token", "--version", "1"], "cannot be a name", id="a bad name"),
        pytest.param(
            ["models/tiny", "--name", "a", "--version", "1", "--config", "/none.yaml"], "No such file", id="no config"
        ),
    ],
)
def test_a_failure_is_one_line(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)

    assert run(monkeypatch, "pack", *arguments) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("torchbridge: ")
    assert reason in output.err


def test_version_is_ours_and_those_of_what_we_stand_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.splitlines() == [
        *(f"{package} {version(package)}" for package in ("torchbridge", "torch", "transformers", "torchserve")),
        f"python {platform.python_version()}",
    ]


def test_version_is_had_without_importing_torch() -> None:
    script = "import sys\nfrom adapter import cli\nsys.argv[1:] = ['--version']\ntry: cli.main()\n"
    script += "finally: assert not {'torch', 'transformers', 'ts'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("pack", "models/tiny", "--name", "a"), "Missing option '--version'."),
        (("verify", "a.mar", "--key", "gone.pub"), "Invalid value for '--key': file 'gone.pub' does not exist."),
        (("verfy",), "No such command 'verfy'. Did you mean 'verify'?"),
    ],
    ids=["an option that is missing", "a value that is wrong", "a command that is none"],
)
def test_a_wrong_command_line_is_json_for_programs(
    arguments: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments, "--json") == 2
    assert json.loads(capsys.readouterr().err) == {"error": reason, "notes": [], "exit_code": 2}


def test_a_command_for_programs_ends_as_it_does_for_people(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "list", "--json", "--run-directory", "/nowhere") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(monkeypatch, "list", "--json", "--help") == 0


@pytest.mark.usefixtures("hears_all_signals")
def test_a_stop_is_json_for_programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "app", lambda **_: signal.raise_signal(signal.SIGTERM))
    assert run(monkeypatch, "pack", "--json") == 143
    assert json.loads(capsys.readouterr().err) == {"error": "stopped by SIGTERM", "notes": [], "exit_code": 143}
