"""The help of a group of commands: plain text, in sections, with each summary whole."""

import pytest

from tests.adapter.commands.called_command import run


def test_commands_are_listed_in_sections(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    section = lines.index("Archives:")
    assert lines[section - 1] == ""
    assert lines[section + 1] == "  pack           Check that a worker can serve MODEL, and write its archive."


def test_a_long_summary_is_wrapped_and_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert run(monkeypatch, "canary", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "Give a deployed VERSION a share of the requests, and promote it once it is sure to be hardly worse." in shown
    )
