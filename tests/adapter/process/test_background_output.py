"""What the gateway does while nobody reads its output: a real pipe, shown to be full."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import httpx
import pytest

from adapter.process.background_output import BackgroundStream, background_output, say
from tests.adapter.full_pipe import fill, full_pipe, read_all
from tests.adapter.gateway_calls import BODY, events_of
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO, int]]:
    with full_pipe() as opened:
        yield opened


@contextlib.contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    lines, root = logging.StreamHandler(stream), logging.getLogger()
    root.addHandler(lines)
    try:
        yield
    finally:
        root.removeHandler(lines)


def test_the_gateway_answers_and_streams_while_nobody_reads_what_it_logs(
    pipe: tuple[int, TextIO, int], address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reader, errors, _ = pipe
    output = BackgroundStream(errors, max_waiting=10_000)
    output.write("in the writer's hands\n")
    wait_until(lambda: output.num_waiting == 0)  # else it could take what waits after the first line was dropped
    with logging_to(output), httpx.Client(base_url=address, timeout=PATIENCE) as client:
        while not output.num_dropped:
            assert client.get(f"/{'a' * 7_000}").status_code == 404
        assert client.get("/livez").json() == {"status": "ok"}
        assert events_of(client.post("/generate/stream", json=BODY)) == ["start", "delta", "delta", "done"]
        assert output.num_dropped
    read_all(reader, b" lines were dropped here: nobody read them)\n")
    output.end(PATIENCE)


def test_what_is_dropped_is_counted_and_said_where_it_is_missing(pipe: tuple[int, TextIO, int]) -> None:
    reader, errors, num_bytes = pipe
    output = BackgroundStream(errors, max_waiting=100)
    print("in the writer's hands", file=output, flush=True)
    wait_until(lambda: output.num_waiting == 0)
    for line in ("kept", "x" * 100, "dropped, although it would fit"):
        output.write(f"{line}\n")
    assert len(os.read(reader, num_bytes)) == num_bytes
    read_all(reader, b"in the writer's hands\nkept\n(2 lines were dropped here: nobody read them)\n")
    output.write("said again\n")
    assert read_all(reader, b"again\n") == b"said again\n"
    output.end(PATIENCE)


def test_the_end_does_not_wait_for_a_reader_that_never_comes(pipe: tuple[int, TextIO, int]) -> None:
    _, errors, _ = pipe
    output = BackgroundStream(errors)
    output.write("nobody reads this\n")
    output.end(patience=0.01)
    assert output.is_writing()  # it is given up, not written


def test_a_reader_that_is_gone_does_no_harm() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as errors:
        os.close(reader)
        output = BackgroundStream(errors)
        output.write("nobody will ever read this\n")
        wait_until(lambda: output.num_waiting == 0)
        output.write("nor this\n")
        output.end(PATIENCE)
        assert not output.is_writing()


def test_a_pipe_that_somebody_else_made_non_blocking_is_waited_for(pipe: tuple[int, TextIO, int]) -> None:
    reader, errors, _ = pipe
    os.set_blocking(errors.fileno(), False)
    output = BackgroundStream(errors)
    output.write("all of it: " + "x" * 2**17 + "the end\n")
    read_all(reader, b"all of it: " + b"x" * 2**17 + b"the end\n")
    output.end(PATIENCE)


@pytest.mark.parametrize("is_failure", [False, True], ids=["told to stop", "that fails"])
def test_serve_ends_although_nobody_reads_its_output(is_failure: bool, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    serving = tmp_path / "serving"
    serve = subprocess.Popen(
        [sys.executable, "-m", "tests.adapter.serve_without_torchserve", str(serving), *["fail"][: int(is_failure)]],
        stdout=writer,
        stderr=writer,
    )
    try:
        wait_until(lambda: serving.exists() or serve.poll() is not None)
        fill(writer)
        serving.unlink()  # it goes on: it says much, and then waits, or fails
        wait_until(lambda: serving.exists() or serve.poll() is not None)
        if not is_failure:
            assert serve.poll() is None
            serve.send_signal(signal.SIGTERM)
        assert serve.wait(PATIENCE) == int(is_failure)
    finally:
        serve.kill()
        serve.wait()
        os.close(reader)
        os.close(writer)


def test_a_reader_that_is_gone_is_no_failure_of_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:  # which writes what it still holds at its end
        with pytest.raises(BrokenPipeError):
            os.write(writer, b".")
        monkeypatch.setattr(sys, "stdout", stream)
        say("nobody hears this")
        say("nor this")


def test_a_stream_that_is_closed_from_the_beginning_is_no_failure_of_who_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as after `>&-`
    with background_output():
        say("nobody hears this")
        print("but this", file=sys.stderr)  # noqa: T201
    assert capsys.readouterr().err == "but this\n"
