"""`torchbridge serve` as a user runs it: the way up, the way down, and what is said when it cannot."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.archive_reader import read_record
from adapter.log_lines.log_line import LogLine
from adapter.schema import DoneEvent, ErrorCode, ErrorEvent
from tests.adapter.tracing.gateway_over import TRACE_ID, TRACEPARENT
from tests.adapter.tracing.otlp_receiver import receiving
from tests.end_to_end.endless_model import write_endless_model
from tests.end_to_end.gateway_calls import stream
from tests.free_ports import write_torchserve_config
from tests.processes import hear_interrupts, processes_of
from tests.project import PROJECT
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts the command on ports, a store and a run directory of its own."""
    config = write_torchserve_config(tmp_path / "config.properties")
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("torchbridge")), "serve", "--port", "0"]
        command += ["--run-directory", str(tmp_path / "run")]
        command += ["--torchserve-config", str(config), *arguments]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
    wait_until(lambda: not processes_of(tmp_path / "run"))


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    assert process.stderr is not None
    raise AssertionError(f"it ended without {text!r}: {seen}{process.stderr.read()}")


def test_serves_until_it_is_told_to_stop(serve: Serve, tmp_path: Path) -> None:
    process = serve()
    output = read_until(process, "curl")
    url = re.findall(r"http://127\.0\.0\.1:\d+", output)[0]
    answer = requests.post(f"{url}/generate", json={"prompt": "Once upon a time", "max_length": 3}, timeout=60)
    assert answer.json()["tokens_generated"] == 3
    assert "loading tiny 1.0 ..." in output
    assert re.search(r"\nOnce upon a time.{40,}", output, re.DOTALL)

    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert re.search(r" INFO \w+ anonymous 127\.0\.0\.1 POST /generate 200 [\d.]+ s\n\Z", process.communicate()[1])
    assert processes_of(tmp_path / "run") == []


def test_a_call_is_seen_in_its_head_in_a_trace_and_in_the_logs(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        process = serve()
        url = re.findall(r"http://127\.0\.0\.1:\d+", read_until(process, "curl"))[0]
        headers = {"x-request-id": "mine", "traceparent": TRACEPARENT}
        body = {"prompt": "Once upon a time", "max_length": 3}
        answer = requests.post(f"{url}/generate", json=body, headers=headers, timeout=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    timing = answer.headers["server-timing"]
    assert re.sub(r";dur=[\d.]+", "", timing) == "admission, queue, prefill, decode, total"
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE_ID}
    names = [span.name for span in receiver.spans]
    assert {*names} == {"POST /generate", "text_completion tiny", "torchserve", *timing_names(timing)} - {"total"}

    command = [str(Path(sys.executable).with_name("torchbridge")), "logs", "--json", "--run-directory"]
    shown = subprocess.run([*command, str(tmp_path / "run")], capture_output=True, text=True, check=True).stdout
    lines = [LogLine.model_validate_json(line) for line in shown.splitlines()]
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert {line.source for line in lines} >= {"gateway", "torchserve", "worker"}
    [end] = [line for line in lines if line.request_id == "mine"]
    assert (end.trace_id, end.path, end.status) == (TRACE_ID, "/generate", 200)
    loaded = next(line for line in lines if " is loaded: " in line.message)
    assert (loaded.source, loaded.worker) == ("worker", "tiny_1.0")
    assert loaded.time < end.time  # TorchServe's clock and ours tell the same time


def timing_names(timing: str) -> set[str]:
    return {metric.partition(";")[0] for metric in timing.split(", ")}


def test_serves_an_archive_as_it_was_packed(serve: Serve, tmp_path: Path) -> None:
    archive = build_archive(PROJECT / "models" / "tiny", "stories", "2.0", tmp_path)
    url = re.findall(r"http://127\.0\.0\.1:\d+", read_until(serve("--model", str(archive)), "curl"))[0]
    answer = requests.post(f"{url}/generate", json={"prompt": "Once", "max_length": 3}, timeout=60).json()
    assert (answer["model"], answer["model_version"]) == ("stories", "2.0")
    assert answer["model_digest"] == read_record(archive).digest


def test_a_stop_lets_short_answers_end_and_tells_long_ones(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_SHUTDOWN_GRACE", "4")
    write_endless_model(PROJECT / "models" / "tiny", tmp_path / "endless")
    process = serve("--model", str(tmp_path / "endless"))
    url = re.findall(r"http://127\.0\.0\.1:\d+", read_until(process, "curl"))[0]
    with (
        ThreadPoolExecutor(1) as pool,
        stream(url, prompt="Once", max_length=30_000) as (_, events),
        stream(url, prompt="Once", max_length=30) as (_, few_events),  # a second of a busy machine
    ):
        assert {next(events).type, next(few_events).type} == {"start"}
        process.send_signal(signal.SIGTERM)
        *_, last = pool.submit(list, events).result()
        *_, last_of_few = few_events

    assert isinstance(last_of_few, DoneEvent)
    assert isinstance(last, ErrorEvent)
    assert last.problem.code == ErrorCode.SHUTTING_DOWN
    assert process.wait() == 0
    assert processes_of(tmp_path / "run") == []


@pytest.mark.parametrize("stage", ["packing", "starting TorchServe", "loading tiny"])
def test_an_interrupt_in_the_middle_of_the_start_leaves_nothing_behind(
    serve: Serve, tmp_path: Path, stage: str
) -> None:
    hear_interrupts()
    process = serve()
    read_until(process, stage)
    process.send_signal(signal.SIGINT)

    assert process.wait() == 128 + signal.SIGINT
    assert process.communicate()[1] == ""
    assert processes_of(tmp_path / "run") == []


def test_a_torchserve_that_dies_is_started_again_with_the_versions_and_the_default_that_it_had(
    serve: Serve, tmp_path: Path
) -> None:
    tiny = PROJECT / "models" / "tiny"
    first, second = (build_archive(tiny, "tiny", version, tmp_path / "packed") for version in ("1.0", "2.0"))
    models = tmp_path / "models.yaml"
    models.write_text(
        "models:\n  tiny:\n    default: '2.0'\n    versions:\n"
        f"      '1.0': {{archive: {first}}}\n      '2.0': {{archive: {second}}}\n"
    )
    process = serve("--models", str(models))
    url = re.findall(r"http://127\.0\.0\.1:\d+", read_until(process, "curl"))[0]
    java = next(process for process in processes_of(tmp_path / "run") if process.name() == "java")
    java.kill()
    read_until(process, "TorchServe serves again")

    assert not java.is_running()
    answers = [
        requests.post(f"{url}/generate", json={"prompt": "Once", "max_length": 3, **which}, timeout=60).json()
        for which in ({}, {"model_version": "1.0"})
    ]
    assert [answer["model_version"] for answer in answers] == ["2.0", "1.0"]


@pytest.fixture
def two_contents(tmp_path: Path) -> tuple[Path, Path]:
    """Archives of one model and version: the second one has another configuration."""
    config = tmp_path / "model-config.yaml"
    config.write_text(DEFAULT_MODEL_CONFIG.read_text() + "\n")
    tiny = PROJECT / "models" / "tiny"
    first, second = (
        build_archive(tiny, "tiny", "1.0", tmp_path / directory, source)
        for directory, source in (("first", DEFAULT_MODEL_CONFIG), ("second", config))
    )
    assert read_record(first).digest != read_record(second).digest
    return first, second


def kill_java(run_directory: Path) -> None:
    java = next(process for process in processes_of(run_directory) if process.name() == "java")
    java.kill()
    wait_until(lambda: not java.is_running())


def test_a_server_that_is_refused_changes_nothing_of_what_the_running_one_starts_again_with(
    serve: Serve, tmp_path: Path, two_contents: tuple[Path, Path]
) -> None:
    first, second = two_contents
    running = serve("--model", str(first))
    url = re.findall(r"http://127\.0\.0\.1:\d+", read_until(running, "curl"))[0]
    other_ports = write_torchserve_config(tmp_path / "other.properties")
    refused = serve("--model", str(second), "--torchserve-config", str(other_ports))
    assert (refused.wait(), "Another TorchServe runs in" in refused.communicate()[1]) == (1, True)

    kill_java(tmp_path / "run")
    read_until(running, "TorchServe serves again")
    answer = requests.post(f"{url}/generate", json={"prompt": "Once", "max_length": 3}, timeout=60).json()
    assert answer["model_digest"] == read_record(first).digest


def test_torchserve_is_not_started_again_with_another_file_than_was_verified(
    serve: Serve, tmp_path: Path, two_contents: tuple[Path, Path]
) -> None:
    first, second = two_contents
    running = serve("--model", str(first))
    read_until(running, "curl")
    shutil.copyfile(second, tmp_path / "run" / "model_store" / first.name)
    kill_java(tmp_path / "run")

    assert running.wait() == 1
    assert re.search(r"torchbridge: .*tiny-1\.0\.mar is not the file that was verified", running.communicate()[1])
    assert processes_of(tmp_path / "run") == []


def test_a_port_in_use_is_one_line(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = serve("--port", str(port))

        assert process.wait() == 1
    assert re.fullmatch(rf"torchbridge: Port {port} .*--port\.\n", process.communicate()[1])


def test_a_model_that_cannot_be_loaded_is_one_line(serve: Serve, tmp_path: Path) -> None:
    model = shutil.copytree(PROJECT / "models" / "tiny", tmp_path / "strange")
    (model / "config.json").write_text('{"model_type": "no_such_architecture"}')
    process = serve("--model", str(model))

    assert process.wait() == 1
    assert re.fullmatch(r"torchbridge: The worker .*\n", process.communicate()[1])
