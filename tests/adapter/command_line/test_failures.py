import json
from pkgutil import resolve_name

import pytest

from adapter.command_line.failures import EXPECTED, failures_in_one_line
from adapter.versions.errors import ChangeRefused, ServerBusy


def fail(error: Exception, *, as_json: bool = False) -> int:
    with pytest.raises(SystemExit) as exit_, failures_in_one_line(as_json=as_json):
        raise error
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_expected_are_exceptions_that_are_there(name: str) -> None:
    assert issubclass(resolve_name(name), Exception)


def test_a_failure_for_programs_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    error = ChangeRefused("2.0 is the default version of tiny: promote another one first.")
    error.add_note("the retire of tiny 2.0 is undone: it stays")

    assert fail(error, as_json=True) == 1
    assert json.loads(capsys.readouterr().err) == {
        "error": "2.0 is the default version of tiny: promote another one first.",
        "notes": ["the retire of tiny 2.0 is undone: it stays"],
        "exit_code": 1,
    }


def test_a_failure_of_a_kind_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(ServerBusy("Another command is at it.")) == 5
    assert capsys.readouterr().err == "torchbridge: Another command is at it.\n"


def test_what_nobody_expected_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), failures_in_one_line():
        raise ZeroDivisionError
