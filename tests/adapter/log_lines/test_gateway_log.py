import json
import logging
import stat
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from adapter.log_lines.current_request import RequestIds, current_request
from adapter.log_lines.gateway_log import RotatingFile, log_lines
from adapter.log_lines.log_line import LogLine

LOG = logging.getLogger("adapter.test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


def test_a_full_file_makes_room_and_the_oldest_goes(path: Path) -> None:
    with RotatingFile(path, max_bytes=10, max_older=2) as file:
        for number in range(5):
            file.write(f"line {number}\n".encode())
    assert {each.name: each.read_text() for each in path.parent.iterdir()} == {
        "gateway.log": "line 4\n",
        "gateway.log.1": "line 3\n",
        "gateway.log.2": "line 2\n",
    }


def test_a_file_that_cannot_begin_anew_goes_on_as_it_is_and_touches_no_other_one(path: Path) -> None:
    """A descriptor that is closed may be a caller's connection by the next line."""
    directory, elsewhere = path.parent, path.parent.with_name("elsewhere")
    with RotatingFile(path, max_bytes=10) as file:
        file.write(b"line 0\n")
        directory.rename(elsewhere)  # as one without a descriptor that is left, or a disk that is read-only
        with suppress(OSError):
            file.write(b"line 1\n")
        with (elsewhere / "another").open("xb") as another:
            with suppress(OSError):
                file.write(b"line 2\n")
            another.write(b"another's")
        elsewhere.rename(directory)
        file.write(b"line 3\n")
    assert {each.name: each.read_text() for each in directory.iterdir()} == {
        "another": "another's",
        "gateway.log": "line 3\n",
        "gateway.log.1": "line 0\nline 1\nline 2\n",
    }


def test_the_next_start_goes_on_in_the_same_file(path: Path) -> None:
    for number in range(2):
        with RotatingFile(path) as file:
            file.write(f"line {number}\n".encode())
    assert path.read_text() == "line 0\nline 1\n"


def test_the_file_is_its_owners_alone(path: Path) -> None:
    with RotatingFile(path, max_bytes=1) as file:
        file.write(b"1")
        file.write(b"2")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {0o600}


def test_lines_are_shown_as_text_and_kept_as_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log_lines("text", path):
        LOG.info("a %s", "word")
        LOG.debug("nothing that anybody wants")
    assert [line.partition(" INFO ")[2] for line in capsys.readouterr().err.splitlines()] == ["a word"]
    [kept] = [LogLine.model_validate_json(line) for line in path.read_text().splitlines()]
    assert (kept.level, kept.source, kept.logger, kept.message) == ("info", "gateway", "adapter.test", "a word")
    assert kept.request_id is None


def test_json_is_one_object_per_line_with_the_ids_of_the_request(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    within = current_request.set(RequestIds("mine", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
    with log_lines("json", path):
        LOG.warning("two\nlines")
    current_request.reset(within)
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is not None
    assert told == {
        "level": "warning",
        "source": "gateway",
        "logger": "adapter.test",
        "message": "two\nlines",
        "request_id": "mine",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }
    assert path.read_text().splitlines() == [line]


def test_a_failure_has_its_traceback_in_the_same_line(path: Path) -> None:
    with log_lines("json", path):
        try:
            {}["why"]
        except LookupError:
            LOG.exception("it failed")
    [line] = [LogLine.model_validate_json(line) for line in path.read_text().splitlines()]
    assert line.exception is not None
    assert line.exception.startswith("Traceback")
    assert line.exception.endswith("KeyError: 'why'")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
def test_a_full_disk_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with log_lines("text", Path("/dev/full")):
        LOG.info("a word")
    assert "a word" in capsys.readouterr().err
