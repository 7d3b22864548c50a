import json
from collections.abc import Callable

import pytest
import typer.testing

from adapter.commands.logs import logs_commands
from adapter.process.stop_signals import Stopped
from tests.adapter.logs.log_directory import LogDirectory


def run(logs: LogDirectory, *options: str) -> list[str]:
    result = typer.testing.CliRunner().invoke(logs_commands, [*options, "--run-directory", str(logs.path)])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


@pytest.fixture
def three(logs: LogDirectory) -> LogDirectory:
    logs.gateway(1, "a request", request_id="mine")
    logs.worker(2, "slow", level="WARN ")
    logs.torchserve(3, "no room", level="ERROR")
    return logs


def test_each_line_shows_when_how_bad_who_and_what(three: LogDirectory) -> None:
    lines = run(three)
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO     gateway: a request",
        "WARNING  worker tiny_1.0: slow",
        "ERROR    torchserve: no room",
    ]


def test_the_level_is_the_least_that_is_shown(three: LogDirectory) -> None:
    assert [line.rpartition(": ")[2] for line in run(three, "--level", "warning")] == ["slow", "no room"]


def test_tail_is_the_last_lines(three: LogDirectory) -> None:
    assert [line.rpartition(": ")[2] for line in run(three, "--tail", "1")] == ["no room"]


def test_json_is_an_object_per_line_in_one_form(three: LogDirectory) -> None:
    told = [json.loads(line) for line in run(three, "--json")]
    assert told[0] == {
        "time": "2026-11-30T00:00:01Z",
        "level": "info",
        "source": "gateway",
        "message": "a request",
        "request_id": "mine",
    }
    assert [each["source"] for each in told] == ["gateway", "worker", "torchserve"]
    assert all(each.keys() >= {"time", "level", "source", "message"} for each in told)


def test_a_line_cannot_steer_the_terminal(logs: LogDirectory) -> None:
    logs.worker(1, "\x1b]0;mine\x07")
    assert run(logs)[0].endswith(r"worker tiny_1.0: \x1b]0;mine\x07")


def test_follow_goes_on_until_it_is_stopped(three: LogDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def first() -> None:
        three.gateway(4, "one more")

    def stop() -> None:
        raise Stopped(2)

    turns: list[Callable[[], None]] = [first, lambda: None, stop]
    monkeypatch.setattr("adapter.commands.logs.time.sleep", lambda _: turns.pop(0)())
    assert run(three, "--follow", "--tail", "0")[-1].endswith("gateway: one more")


def test_without_logs_it_says_so(logs: LogDirectory) -> None:
    result = typer.testing.CliRunner().invoke(logs_commands, ["--run-directory", str(logs.path)])
    assert result.exit_code == 2
    assert "no logs" in result.output
