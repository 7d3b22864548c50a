"""The command line: what `--version` prints, and a failure in one line."""

import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

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
