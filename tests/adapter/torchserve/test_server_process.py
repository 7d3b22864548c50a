"""The real TorchServe, with handlers of a few lines: how it starts, and stops without a trace."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import psutil
import pytest

from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from tests.adapter.archives.throwaway_archive import ANSWERS, READS_THE_TERMINAL, write_archive
from tests.free_ports import torchserve_properties
from tests.processes import has_status, processes_of
from tests.waiting import wait_until

EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
STARTER = """
import signal, sys, time
from pathlib import Path
from adapter.torchserve.server_process import TorchServeProcess

# A shell that starts the tests in the background lets them, and this, ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
properties = dict(argument.split("=", 1) for argument in sys.argv[3:])
with TorchServeProcess([Path(sys.argv[1])], Path(sys.argv[2]), properties) as torchserve:
    torchserve.start()
    torchserve.wait_until_ready(lambda stage: print(stage, flush=True))
    print("ready", flush=True)
    time.sleep(600)
"""
# As a shell's command in the foreground: standard input is its terminal, and all of its session may open that.
ON_A_TERMINAL = """
import fcntl, os, termios

os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.close(os.open("/dev/tty", os.O_RDWR))
assert os.tcgetpgrp(0) == os.getpgid(0)
print("on a terminal", flush=True)
"""


OURS = ("TORCHBRIDGE_API_KEYS", "TORCHBRIDGE_REDIS_URL")
OTHERS = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "PGSERVICE", "https_proxy")
WANTED = ("TOKENIZERS_PARALLELISM", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "SITE_OF_MODEL")


@dataclass(frozen=True)
class Started:
    """`stages`: what its start has told."""

    torchserve: TorchServeProcess
    archives: list[Path]
    stages: list[str]

    def worker(self, model: str) -> psutil.Process:
        return psutil.Process(self.torchserve.management.describe(model)[0].workers[0].pid)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """With alpha and beta, from an environment that has secrets."""
    directory = tmp_path_factory.mktemp("started")
    archives = [write_archive(directory, name, ANSWERS) for name in ("alpha", "beta")]
    stages: list[str] = []
    # As an operator's own configuration, which may keep nothing from the workers.
    properties = torchserve_properties() | {"blacklist_env_vars": "NONE"}
    with (
        pytest.MonkeyPatch.context() as environment,
        TorchServeProcess(archives, directory / "run", properties) as torchserve,
    ):
        for name in (*OURS, *OTHERS, *WANTED):
            environment.setenv(name, "1")
        environment.setenv("TORCHBRIDGE_PASS_ENVIRONMENT", "SITE_OF_MODEL")
        torchserve.start()
        torchserve.wait_until_ready(stages.append)
        yield Started(torchserve, archives, stages)


@pytest.mark.torchserve
def test_it_has_started_when_each_archive_has_a_worker_that_is_ready(started: Started) -> None:
    describe = started.torchserve.management.describe
    assert [describe(name)[0].ready_workers for name in ("alpha", "beta")] == [1, 1]
    assert started.stages[0] == "starting TorchServe"


@pytest.mark.torchserve
def test_its_directory_is_no_others(started: Started) -> None:
    with pytest.raises(StartFailed, match="Another TorchServe runs in"):
        TorchServeProcess(started.archives, started.torchserve.directory.path).start()


@pytest.mark.torchserve
def test_it_is_a_process_group_of_its_own_in_the_session_where_priorities_are_weighed(started: Started) -> None:
    worker = started.worker("alpha")
    *within, launcher = takewhile(lambda process: process.pid != os.getpid(), [worker, *worker.parents()])
    groups, sessions = ([ask(each.pid) for each in (*within, launcher)] for ask in (os.getpgid, os.getsid))
    assert worker in within
    assert set(groups) == {launcher.pid}
    assert set(sessions) == {os.getsid(0)}


@pytest.mark.torchserve
def test_neither_java_nor_the_worker_sees_secrets(started: Started) -> None:
    processes = processes_of(started.torchserve.directory.path)
    [java] = [process.environ() for process in processes if process.name() == "java"]
    worker = started.worker("alpha").environ()
    for environment in (java, worker):
        assert [name for name in (*OURS, *OTHERS) if name in environment] == []
        assert [name for name in WANTED if name not in environment] == []
    assert worker["HF_HUB_OFFLINE"] == "1"


@pytest.mark.torchserve
def test_it_stops_without_a_trace_and_no_signal_ends_its_launcher_before_all_the_others(started: Started) -> None:
    torchserve, run = started.torchserve, started.torchserve.directory.path
    launcher = torchserve._process
    assert launcher is not None
    for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        launcher.send_signal(signal_number)
    with torchserve:
        pass  # the end of the block stops it

    assert launcher.returncode == -signal.SIGKILL  # its own last act
    assert processes_of(run) == []
    assert [path for path in run.rglob("*") if path.stat().st_mode & 0o077] == []
    assert sorted(path.name for path in run.iterdir()) == ["config.properties", "lock", "logs"]
    assert not torchserve.is_running()


@pytest.mark.torchserve
def test_a_handler_that_reads_the_terminal_of_the_starter_stops_nobody(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "curious", READS_THE_TERMINAL)
    properties = [f"{key}={value}" for key, value in torchserve_properties().items()]
    command = [sys.executable, "-c", ON_A_TERMINAL + STARTER, str(archive), str(tmp_path / "run"), *properties]
    said, (keyboard, terminal) = tmp_path / "said", pty.openpty()

    def stopped() -> list[psutil.Process]:
        return [each for each in processes_of(tmp_path / "run") if has_status(each, psutil.STATUS_STOPPED)]

    with said.open("wb") as output, subprocess.Popen(command, stdin=terminal, stdout=output) as starter:
        try:
            wait_until(lambda: "ready\n" in said.read_text() or stopped() != [])
            assert "on a terminal\n" in said.read_text()
            assert stopped() == []
        finally:
            starter.kill()
            os.close(keyboard)
            os.close(terminal)
    wait_until(lambda: not processes_of(tmp_path / "run"))


@dataclass(frozen=True)
class StartedEmpty:
    torchserve: TorchServeProcess
    models_at_first: list[str]


@pytest.fixture(scope="module")
def started_empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedEmpty]:
    """As where nothing is left to serve; "good" is registered then."""
    directory = tmp_path_factory.mktemp("empty")
    archive = write_archive(directory, "good", ANSWERS)
    with TorchServeProcess([archive], directory / "run", torchserve_properties()) as torchserve:
        torchserve.start([])
        torchserve.wait_until_ready()
        models = torchserve.management.model_names()
        torchserve.management.register(archive.name)
        yield StartedEmpty(torchserve, models)


@pytest.mark.torchserve
def test_it_starts_again_where_nothing_is_left_to_serve_and_takes_what_is_registered_then(
    started_empty: StartedEmpty,
) -> None:
    assert started_empty.models_at_first == []
    assert started_empty.torchserve.management.model_names() == ["good"]


@pytest.mark.torchserve
def test_a_java_that_dies_takes_its_worker_with_it(started_empty: StartedEmpty) -> None:
    torchserve, run = started_empty.torchserve, started_empty.torchserve.directory.path
    wait_until(lambda: torchserve.management.describe("good")[0].ready_workers == 1)
    [java] = [process for process in processes_of(run) if process.name() == "java"]
    java.kill()
    wait_until(lambda: not torchserve.is_running())

    wait_until(lambda: processes_of(run) == [])  # none that lives; a dying one takes its time
    with pytest.raises(StartFailed, match="TorchServe ended"):
        torchserve.wait_until_ready()


@pytest.mark.torchserve
@pytest.mark.parametrize("stage", ["starting TorchServe", "loading good 1.0", "ready"])
@pytest.mark.parametrize(
    "signal_number",
    [
        # tests/end_to_end/test_serve.py has it every day.
        pytest.param(signal.SIGINT, id="interrupted", marks=pytest.mark.skipif(not EVERY_POINT, reason="make soak")),
        pytest.param(signal.SIGKILL, id="killed"),
    ],
)
def test_nothing_is_left_behind_whenever_the_starter_ends(
    tmp_path: Path, stage: str, signal_number: signal.Signals
) -> None:
    archive = write_archive(tmp_path, "good", ANSWERS)
    properties = [f"{key}={value}" for key, value in torchserve_properties().items()]
    command = [sys.executable, "-c", STARTER, str(archive), str(tmp_path / "run"), *properties]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as starter:
        assert starter.stdout is not None
        for line in starter.stdout:
            # A light model may be ready before anybody has looked: then there is no stage in between.
            if line.strip() in {stage, "ready"}:
                break
        assert processes_of(tmp_path / "run") != []
        starter.send_signal(signal_number)
        starter.wait()

    # The launcher that outlives a killed starter needs a moment.
    wait_until(lambda: not processes_of(tmp_path / "run"))
