"""What shells ask for, and what bash makes of it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter import cli
from adapter.versions.server_state import ModelState, ServerState, VersionState

PROGRAMS = Path(sys.executable).parent
SHA256 = "0" * 64


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """Of a server that is not there any more, with tiny 1.0 and 2.0, and story 1.5."""
    deployed = VersionState(archive="x.mar", sha256=SHA256, digest=SHA256)
    models = {
        "tiny": ModelState(default="2.0", versions={"1.0": deployed, "2.0": deployed}),
        "story": ModelState(default="1.5", versions={"1.5": deployed}),
    }
    ServerState(models=models).write(tmp_path / "versions.json")
    return tmp_path


def run(*command: str) -> str:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str, Path], list[str]]:
    """The words for a line, beside a server's directory, as bash's script asks for them."""

    def ask(line: str, run_directory: Path) -> list[str]:
        words = line.split(" ")
        asked = {"_TORCHBRIDGE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        for name, value in (asked | {"TORCHBRIDGE_RUN_DIRECTORY": str(run_directory)}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["torchbridge"])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        said = capsys.readouterr()
        assert (exit_.value.code or 0, said.err) == (0, "")
        return said.out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torchbridge pro", ["probe", "promote"]),
        ("torchbridge canary a", ["abort"]),
        ("torchbridge retire --if", ["--if-exists"]),
        ("torchbridge promote ", ["1.0", "1.5", "2.0"]),
        ("torchbridge promote 1", ["1.0", "1.5"]),
        ("torchbridge promote --model tiny ", ["1.0", "2.0"]),
        ("torchbridge default-model ", ["story", "tiny"]),
        ("torchbridge completion ", ["bash", "fish", "zsh"]),
    ],
)
def test_a_word_is_completed(
    run_directory: Path, offered: Callable[[str, Path], list[str]], line: str, words: list[str]
) -> None:
    assert sorted(offered(line, run_directory)) == words


def test_where_no_server_was_nothing_is_offered_and_nothing_said(
    tmp_path: Path, offered: Callable[[str, Path], list[str]]
) -> None:
    assert offered("torchbridge promote ", tmp_path / "none") == []


def test_bash_completes_by_the_script() -> None:
    script = (
        'source <(torchbridge completion bash); COMP_WORDS=(torchbridge de); COMP_CWORD=1; "$(complete -p torchbridge'
        ' | sed "s/.*-F \\([^ ]*\\).*/\\1/")" torchbridge; echo "${COMPREPLY[@]}"'
    )
    assert run("bash", "--norc", "-c", script).split() == ["deploy", "default-model"]


@pytest.mark.parametrize(("shell", "words"), [("zsh", "compdef"), ("fish", "complete --command torchbridge")])
def test_other_shells_have_a_script_too(
    shell: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["torchbridge", "completion", shell])
    with pytest.raises(SystemExit):
        cli.main()
    assert words in capsys.readouterr().out
