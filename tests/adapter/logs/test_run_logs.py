import os
import shutil
from datetime import UTC, datetime

from adapter.log_lines.log_line import LogLine
from adapter.logs.run_logs import RunLogs
from adapter.torchserve.output_rotation import rotate
from tests.adapter.logs.log_directory import LogDirectory, append


def told(lines: list[LogLine]) -> list[tuple[str, str]]:
    return [(line.source, line.message) for line in lines]


def all_of(logs: LogDirectory) -> list[LogLine]:
    with RunLogs(logs.path) as run_logs:
        return list(run_logs.lines())


def test_lines_of_all_files_come_in_the_order_of_time(logs: LogDirectory) -> None:
    logs.gateway(2, "a request")
    logs.gateway(5, "another one")
    logs.torchserve(1, "starting")
    logs.torchserve(4, "still there")
    logs.worker(3, "loaded")
    assert told(all_of(logs)) == [
        ("torchserve", "starting"),
        ("gateway", "a request"),
        ("worker", "loaded"),
        ("torchserve", "still there"),
        ("gateway", "another one"),
    ]


def test_a_line_says_who_and_how_bad(logs: LogDirectory) -> None:
    logs.torchserve(1, "no room", level="ERROR")
    logs.worker(2, "UserWarning: so", thread="W-9001-my_model_2.0-stderr", level="WARN ")
    server, worker = all_of(logs)
    assert (server.level, server.logger) == ("error", "org.pytorch.serve.ModelServer")
    assert (worker.level, worker.worker) == ("warning", "my_model_2.0")


def test_times_of_another_zone_are_the_same_times(logs: LogDirectory) -> None:
    logs.torchserve(1, "east", offset="+01:00")
    assert all_of(logs)[0].time == datetime(2026, 11, 29, 23, 0, 1, tzinfo=UTC)


def test_lines_without_a_time_stay_with_the_one_before(logs: LogDirectory) -> None:
    logs.torchserve(1, "it failed", level="ERROR")
    append(logs.files.logs / "ts_log.log", "\tat java.lang.Thread.run(Thread.java:1583)")
    logs.gateway(2, "later")
    failure, trace, _ = all_of(logs)
    assert (trace.time, trace.level, trace.source) == (failure.time, "error", "torchserve")


def test_files_that_were_full_and_the_logs_before_a_restart_are_read_too(logs: LogDirectory) -> None:
    logs.gateway(2, "second")
    logs.files.gateway_log.rename(logs.files.gateway_log.with_name("gateway.log.1"))
    logs.gateway(4, "fourth")
    logs.torchserve(1, "first")
    (logs.files.logs / "ts_log.log").rename(logs.files.logs / "ts_log.1.log")
    logs.torchserve(3, "third")
    shutil.move(logs.files.logs, logs.files.previous_logs)
    logs.files.logs.mkdir()
    logs.torchserve(5, "fifth")
    assert [line.message for line in all_of(logs)] == ["first", "second", "third", "fourth", "fifth"]


def test_what_torchserve_prints_has_the_time_of_the_files_last_change(logs: LogDirectory) -> None:
    append(logs.files.output, "# A fatal error has been detected")
    os.utime(logs.files.output, (1_000, 1_000))
    [line] = all_of(logs)
    assert (line.source, line.time) == ("output", datetime.fromtimestamp(1_000, UTC))


def test_a_line_that_was_cut_ends_nothing(logs: LogDirectory) -> None:
    logs.gateway(1, "whole")
    append(logs.files.gateway_log, '{"time":"2026-')
    logs.gateway(2, "next")
    assert [line.message for line in all_of(logs)] == ["whole", '{"time":"2026-', "next"]


def test_new_lines_are_those_that_have_come_since(logs: LogDirectory) -> None:
    logs.gateway(1, "old")
    with RunLogs(logs.path) as run_logs:
        assert told(list(run_logs.lines())) == [("gateway", "old")]
        assert run_logs.new_lines() == []
        logs.gateway(3, "new")
        logs.worker(2, "of a file that was not there")
        assert told(run_logs.new_lines()) == [("worker", "of a file that was not there"), ("gateway", "new")]


def test_a_file_is_followed_over_its_rotation_and_over_a_restart(logs: LogDirectory) -> None:
    logs.gateway(1, "old")
    logs.worker(1, "old")
    with RunLogs(logs.path) as run_logs:
        list(run_logs.lines())
        logs.gateway(2, "the last of the old file")
        logs.files.gateway_log.rename(logs.files.gateway_log.with_name("gateway.log.1"))
        logs.gateway(3, "the first of the new one")
        logs.worker(4, "the last of the old worker")
        shutil.move(logs.files.logs, logs.files.previous_logs)
        logs.files.logs.mkdir()
        logs.worker(5, "the first of the new one")
        assert [line.message for line in run_logs.new_lines()] == [
            "the last of the old file",
            "the first of the new one",
            "the last of the old worker",
            "the first of the new one",
        ]


def test_a_file_that_is_emptied_is_read_from_its_begin(logs: LogDirectory) -> None:
    append(logs.files.output, "long before")
    with RunLogs(logs.path) as run_logs:
        list(run_logs.lines())
        rotate(logs.files.output, max_bytes=1)
        append(logs.files.output, "after")
        assert [line.message for line in run_logs.new_lines()] == ["after"]


def test_half_a_line_waits_for_its_other_half(logs: LogDirectory) -> None:
    with RunLogs(logs.path) as run_logs:
        with logs.files.output.open("w") as file:
            file.write("half")
            file.flush()
            assert run_logs.new_lines() == []
            file.write(" and half\n")
        assert [line.message for line in run_logs.new_lines()] == ["half and half"]
