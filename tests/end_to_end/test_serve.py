"""`torchbridge serve` as a user runs it: the way up, the way down, and what is said when it cannot."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from adapter.log_lines.log_line import LogLine
from adapter.schema import DoneEvent, ErrorCode, ErrorEvent, StreamEvent
from tests.adapter.archives.throwaway_archive import REFUSES
from tests.adapter.tracing.gateway_over import TRACE_ID, TRACEPARENT
from tests.adapter.tracing.otlp_receiver import receiving
from tests.end_to_end.endless_model import write_endless_model
from tests.end_to_end.gateway_calls import stream
from tests.end_to_end.serve_command import LIGHT_TORCHBRIDGE, Serve, read_until, serving, url_in
from tests.end_to_end.versions.light_archives import LightArchives
from tests.processes import hear_interrupts, processes_of
from tests.project import PROJECT

pytestmark = pytest.mark.torchserve

GRACES = (4, 40)  # seconds: the second one where this machine stood still in the first


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with serving(tmp_path) as serve:
        yield serve


@dataclass(frozen=True)
class Run:
    """What was seen of one from its start to the stop that it was told, with a call between them.

    last_of_few, last: events of two streams that ran at the stop, one of which had little left to say.
    """

    output: str
    answer: requests.Response
    last_of_few: StreamEvent
    last: StreamEvent
    errors: str
    status: int
    left: list[psutil.Process]
    spans: Sequence[Span]
    lines: list[LogLine]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("run")
    write_endless_model(PROJECT / "models" / "tiny", directory / "endless")
    for grace in GRACES:
        seen = seen_with(grace, directory / "endless", tmp_path_factory.mktemp("run"))
        if isinstance(seen.last_of_few, DoneEvent):
            break
    return seen


def seen_with(grace: int, model: Path, directory: Path) -> Run:
    with (
        receiving() as receiver,
        pytest.MonkeyPatch.context() as patch,
        serving(directory) as serve,
    ):
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        patch.setenv("TORCHBRIDGE_SHUTDOWN_GRACE", str(grace))
        process = serve("--model", str(model))
        output = read_until(process, "curl")
        headers = {"x-request-id": "mine", "traceparent": TRACEPARENT}
        body = {"prompt": "Once upon a time", "max_length": 3}
        answer = requests.post(f"{url_in(output)}/generate", json=body, headers=headers, timeout=60)
        last_of_few, last = last_events_at_a_stop(process, url_in(output))
        status = process.wait()
        left = processes_of(directory / "run")
        errors = process.communicate()[1]
    command = [str(Path(sys.executable).with_name("torchbridge")), "logs", "--json", "--run-directory"]
    shown = subprocess.run([*command, str(directory / "run")], capture_output=True, text=True, check=True).stdout
    lines = [LogLine.model_validate_json(line) for line in shown.splitlines()]
    return Run(output, answer, last_of_few, last, errors, status, left, receiver.spans, lines)


def last_events_at_a_stop(process: subprocess.Popen[str], url: str) -> tuple[StreamEvent, StreamEvent]:
    with (
        ThreadPoolExecutor(1) as pool,
        stream(url, prompt="Once", max_length=30_000) as (_, events),
        stream(url, prompt="Once", max_length=30) as (_, few_events),  # a second of a busy machine
    ):
        assert {next(events).type, next(few_events).type} == {"start"}
        process.send_signal(signal.SIGTERM)
        *_, last = pool.submit(list, events).result()
        *_, last_of_few = few_events
    return last_of_few, last


def test_serves_until_it_is_told_to_stop(run: Run) -> None:
    assert run.answer.json()["tokens_generated"] == 3
    assert "loading endless 1.0 ...\n" in run.errors
    assert re.search(r"\nOnce upon a time.{40,}", run.output, re.DOTALL)

    assert run.status == 0
    assert re.search(r" INFO mine anonymous 127\.0\.0\.1 POST /generate 200 [\d.]+ s( trace \w+)?\n", run.errors)
    assert "\n\nstopping ...\n" in run.errors
    assert run.left == []


def test_a_call_is_seen_in_its_head_and_in_a_trace(run: Run) -> None:
    timing = run.answer.headers["server-timing"]
    assert re.sub(r";dur=[\d.]+", "", timing) == "admission, queue, prefill, decode, total"
    names = [span.name for span in run.spans if span.trace_id.hex() == TRACE_ID]
    assert {*names} == {"POST /generate", "text_completion endless", "torchserve", *timing_names(timing)} - {"total"}


def test_a_call_is_seen_in_the_logs_of_all_parts(run: Run) -> None:
    assert [line.time for line in run.lines] == sorted(line.time for line in run.lines)
    assert {line.source for line in run.lines} >= {"gateway", "torchserve", "worker"}
    [end] = [line for line in run.lines if line.request_id == "mine"]
    assert (end.trace_id, end.path, end.status) == (TRACE_ID, "/generate", 200)
    loaded = next(line for line in run.lines if " is loaded: " in line.message)
    assert (loaded.source, loaded.worker) == ("worker", "endless_1.0")
    assert loaded.time < end.time  # TorchServe's clock and ours tell the same time


def timing_names(timing: str) -> set[str]:
    return {metric.partition(";")[0] for metric in timing.split(", ")}


def test_a_stop_lets_short_answers_end_and_tells_long_ones(run: Run) -> None:
    assert isinstance(run.last_of_few, DoneEvent)
    assert isinstance(run.last, ErrorEvent)
    assert run.last.problem.code == ErrorCode.SHUTTING_DOWN


def without_stages(errors: str) -> str:
    """What was said but what `serve` was doing: each a line that ends in dots."""
    return re.sub(r"^.* \.\.\.\n", "", errors, flags=re.MULTILINE)


@pytest.mark.parametrize("stage", ["packing", "starting TorchServe", "loading tiny"])
def test_an_interrupt_in_the_middle_of_the_start_leaves_nothing_behind(
    serve: Serve, tmp_path: Path, stage: str
) -> None:
    hear_interrupts()
    process = serve()
    assert process.stderr is not None
    assert any(stage in line for line in process.stderr)
    process.send_signal(signal.SIGINT)

    assert process.wait() == 128 + signal.SIGINT
    assert without_stages(process.communicate()[1]) == ""
    assert processes_of(tmp_path / "run") == []


def test_a_port_in_use_is_one_line(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = serve("--port", str(port))

        assert process.wait() == 1
    assert re.fullmatch(rf"torchbridge: Port {port} .*--port\.\n", without_stages(process.communicate()[1]))


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    archives = LightArchives(tmp_path / "archives")
    refused = archives.make("1.0", handler=REFUSES)
    with serving(tmp_path, LIGHT_TORCHBRIDGE) as serve:
        process = serve("--model", str(refused), "--key", str(archives.public_key))

        assert process.wait() == 1
        errors = process.communicate()[1]
    assert re.fullmatch(r"torchbridge: The worker cannot load the model: .* unknown here\n", without_stages(errors))
