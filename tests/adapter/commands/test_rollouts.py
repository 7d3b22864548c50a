"""`torchbridge rollout` from a command line: what it refuses, and what it says."""

import json
from pathlib import Path

import pytest

from adapter import cli
from adapter.commands import rollouts
from adapter.rollout.journal import Begun, RolloutJournal, Stage, Step
from adapter.versions.desired_state import DesiredState

KEY = "rollout-0123456789-abc"
TEXT = 'models: {tiny: {default: "2.0", versions: {"2.0": {archive: %s}}}}'


@pytest.fixture
def models(tmp_path: Path) -> Path:
    models = tmp_path / "models.yaml"
    models.write_text(TEXT % "/models/tiny-2.0.mar")
    return models


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.argv", ["torchbridge", "rollout", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("3", 3), ("25%", 2), ("1%", 1), ("50%", 4), ("51%", 4), ("100%", 7)]
)
def test_how_many_hosts_change_at_once(text: str, number: int) -> None:
    assert rollouts._number_at_once(text, 7) == number


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "1.5", "half", "5%%", ""])
def test_what_is_no_number_of_hosts_is_refused(monkeypatch: pytest.MonkeyPatch, models: Path, text: str) -> None:
    monkeypatch.setenv("TORCHBRIDGE_ROLLOUT_KEY", KEY)
    assert run(monkeypatch, str(models), "--hosts", "a:8000", "--at-once", text) == 2


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [("", "names each host once"), ("a:1,a:1", "names each host once"), ("a:1,b c", "'b c' is no address")],
)
def test_hosts_that_are_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, models: Path, capsys: pytest.CaptureFixture[str], hosts: str, reason: str
) -> None:
    assert run(monkeypatch, str(models), "--hosts", hosts) == 1
    assert reason in capsys.readouterr().err


def test_a_tag_is_refused_before_any_host_is_asked(
    monkeypatch: pytest.MonkeyPatch, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write_text(TEXT % "'oci://registry.example/tiny:2.0'")
    assert run(monkeypatch, str(models), "--hosts", "a:8000") == 1
    assert "is a tag, which may come to mean something else" in capsys.readouterr().err


def test_a_key_comes_from_a_file_of_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHBRIDGE_ROLLOUT_KEY", raising=False)
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(f"ci:{KEY}\n")
    assert rollouts._key(file) == KEY
    file.chmod(0o644)
    with pytest.raises(rollouts.RolloutRefused, match="open to other users"):
        rollouts._key(file)
    with pytest.raises(rollouts.RolloutRefused, match="TORCHBRIDGE_ROLLOUT_KEY, or --key-file"):
        rollouts._key(None)


def test_status_shows_each_host(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rollout.jsonl"
    journal = RolloutJournal(path)
    rollout = journal.begin("1", Begun(hosts=("a:1", "b:1", "c:1"), desired=DesiredState.read(models), before={}))
    rollout = journal.step(rollout, "a:1", Step.DONE)
    journal.step(rollout, "b:1", Step.FAILED, "Its disk is full.")
    assert run(monkeypatch, "status", "--journal", str(path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny 2.0: rolling out (begun ")
    assert lines[1:4] == [
        "  a:1: rolling out, done",
        "  b:1: rolling out, failed: Its disk is full.",
        "  c:1: as before",
    ]
    assert "rollout abort goes back" in lines[4]


def test_what_has_become_of_it_is_told_to_programs(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_ROLLOUT_KEY", KEY)
    path = tmp_path / "rollout.jsonl"
    journal = RolloutJournal(path)
    rollout = journal.begin("1", Begun(hosts=("a:1",), desired=DesiredState.read(models), before={}))
    rollout = journal.enter(journal.step(rollout, "a:1", Step.DONE), Stage.ABORTING)
    journal.step(rollout, "a:1", Step.DONE)
    assert run(monkeypatch, "abort", "--journal", str(path), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["stage"], shown["defaults"]) == ("1", "aborted", {"tiny": "2.0"})
    assert (shown["hosts"]["a:1"]["stage"], shown["hosts"]["a:1"]["step"]) == ("aborting", "done")


def test_two_commands_at_one_rollout_are_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_ROLLOUT_KEY", KEY)
    path = tmp_path / "rollout.jsonl"
    with RolloutJournal(path).locked():
        assert run(monkeypatch, "abort", "--journal", str(path)) == 1
    assert "Another command is at this rollout" in capsys.readouterr().err
