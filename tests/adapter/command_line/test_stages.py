import threading
from io import StringIO

import pytest

from adapter.command_line import stages
from adapter.command_line.stages import Stages, reporter, working
from tests.waiting import wait_until


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_long_work_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "_SECONDS_BEFORE_A_LINE", 0)
    monkeypatch.setattr(stages, "_SECONDS_BETWEEN_LINES", 0)
    seen = ""

    def has_two_lines() -> bool:
        nonlocal seen
        seen += capsys.readouterr().err
        return seen.count("checking x: 0 s so far\n") > 1

    with working("checking x"):
        wait_until(has_two_lines)
    assert {thread.name for thread in threading.enumerate()} & {"plain lines"} == set()


def test_without_a_terminal_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with working("checking x"):
        pass
    assert capsys.readouterr() == ("", "")


def test_what_is_to_be_quiet_says_nothing_however_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with working("checking x", quiet=True) as report:
        report("serving x")
        assert not {"plain lines"} & {thread.name for thread in threading.enumerate()}
    reporter(quiet=True)("loading x")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_shows_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with working("checking [x]") as report:
        report("serving [y]")
    assert "serving [y]" in terminal.getvalue()
    assert "0:00:0" in terminal.getvalue()


def test_the_stages_of_a_start_are_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages() as shown:
        shown.report("packing")
    shown.report("starting it again")
    assert capsys.readouterr() == ("", "packing ...\nstarting it again ...\n")
