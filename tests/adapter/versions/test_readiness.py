"""How long a version's workers are waited for, and when no more."""

import pytest

from adapter.compilation import Compilation, CompilationState
from adapter.torchserve.loading import describe_version, describe_versions
from adapter.torchserve.worker_log import WorkerLog
from adapter.versions.errors import LoadFailed
from adapter.versions.version_waits import wait_for_compilation, wait_for_workers
from tests.adapter.versions.fake_server import Clock, FakeServer

DEATH = "2026-11-22T13:47:34,840 [INFO ] W-9000-tiny_2.0-stdout - Stopped Scanner - W-9000-tiny_2.0-stdout\n"
REFUSAL = "2026-11-22T13:47:34,840 [WARN ] W-9000-tiny_2.0-stderr - torchbridge: cannot load the model: too large\n"


@pytest.fixture
def log(server: FakeServer) -> WorkerLog:
    server.serve("1.0")
    server.management.starts_ready = False
    server.management.register(server.put_into_store("2.0").archive)
    return server.log_of("tiny", "2.0")


def wait(server: FakeServer, log: WorkerLog, *, timeout: float = 60, workers: int | None = None) -> None:
    wait_for_workers(server.management, "tiny", "2.0", log, timeout=timeout, workers=workers)


def set_workers(server: FakeServer, *are_ready: bool, wanted: int) -> None:
    server.management.models["tiny"]["2.0"] = list(are_ready)
    server.management.wanted["tiny", "2.0"] = wanted


def test_a_version_that_is_ready_is_not_waited_for(server: FakeServer, log: WorkerLog, clock: Clock) -> None:
    set_workers(server, True, wanted=1)
    began = clock.now
    wait(server, log, timeout=0)
    assert clock.now == began


def test_it_waits_until_the_worker_is_ready(server: FakeServer, log: WorkerLog, clock: Clock) -> None:
    ready_at = clock.now + 30
    clock.after(30, lambda: set_workers(server, True, wanted=1))
    wait(server, log)
    assert clock.now >= ready_at


@pytest.mark.parametrize(
    ("are_ready", "wanted", "workers"),
    [
        pytest.param((True, False), 2, None, id="not all are ready"),
        pytest.param((True,), 2, None, id="one is missing"),
        pytest.param((), 1, None, id="there is none"),
        pytest.param((True, True), 1, None, id="one is left of before"),
        pytest.param((True,), 1, 0, id="it is still unloaded"),
        pytest.param((False,), 0, None, id="it is still ending"),
    ],
)
def test_neither_too_few_nor_too_many_workers_are_ready(
    server: FakeServer, log: WorkerLog, are_ready: tuple[bool, ...], wanted: int, workers: int | None
) -> None:
    set_workers(server, *are_ready, wanted=wanted)
    stage = r"Still (un)?loading tiny 2\.0 after 60 s \(TORCHBRIDGE_LOAD_TIMEOUT\)\. See .*model_log\.log"
    with pytest.raises(LoadFailed, match=stage):
        wait(server, log, workers=workers)


def test_without_workers_it_is_ready_when_none_is_wanted(server: FakeServer, log: WorkerLog) -> None:
    set_workers(server, wanted=0)
    wait(server, log, timeout=0)
    wait(server, log, timeout=0, workers=0)


def test_its_own_number_counts_before_the_one_that_torchserve_was_told(server: FakeServer, log: WorkerLog) -> None:
    set_workers(server, wanted=1)
    wait(server, log, timeout=0, workers=0)


def test_a_version_that_vanished_is_not_waited_for(server: FakeServer, log: WorkerLog, clock: Clock) -> None:
    clock.after(1, lambda: server.management.unregister("tiny", "2.0"))
    with pytest.raises(LoadFailed, match=r"does not have tiny 2\.0 any more\. Was it restarted"):
        wait(server, log)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(REFUSAL, "cannot load the model: too large", id="it says why"),
        pytest.param(DEATH * 6, "dies while it loads the model", id="it dies again and again"),
    ],
)
def test_a_worker_that_gave_up_is_not_waited_for(
    server: FakeServer, log: WorkerLog, clock: Clock, said: str, reason: str
) -> None:
    began = clock.now
    clock.after(1, lambda: server.worker_log.write_text(said))
    with pytest.raises(LoadFailed, match=reason):
        wait(server, log)
    assert clock.now < began + 60


@pytest.mark.parametrize("said", [DEATH, DEATH.replace("2.0", "1.0") * 2], ids=["once", "another version's"])
def test_a_death_that_is_no_reason_yet_is_waited_through(
    server: FakeServer, log: WorkerLog, clock: Clock, said: str
) -> None:
    server.worker_log.write_text(said)
    clock.after(5, lambda: set_workers(server, True, wanted=1))
    wait(server, log)


def test_of_a_model_that_is_not_there_there_are_no_versions(server: FakeServer, log: WorkerLog) -> None:
    del log
    assert describe_versions(server.management, "absent") == {}
    assert describe_version(server.management, "absent", "1.0") is None
    assert describe_version(server.management, "tiny", "9.0") is None
    assert list(describe_versions(server.management, "tiny")) == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Compilation(state=CompilationState.COMPILED), []),
        (Compilation(state=CompilationState.NOT_COMPILED, reason="no compiler"), ["not compiled: no compiler"]),
    ],
    ids=["compiled", "not compiled"],
)
def test_it_waits_until_the_worker_has_compiled_or_says_that_it_will_not(
    server: FakeServer, clock: Clock, last: Compilation, said: list[str]
) -> None:
    directory, lines = server.files.compilations, list[str]()
    began = clock.now
    Compilation(state=CompilationState.WAITING).write(directory, "tiny", "2.0")
    clock.after(10, lambda: Compilation(state=CompilationState.COMPILING).write(directory, "tiny", "2.0"))
    clock.after(30, lambda: last.write(directory, "tiny", "2.0"))

    wait_for_compilation(directory, "tiny", "2.0", timeout=60, report=lines.append)

    assert clock.now >= began + 30
    assert lines == ["waiting", "compiling", *said]


@pytest.mark.usefixtures("clock")
def test_it_does_not_wait_for_a_build_for_ever(server: FakeServer) -> None:
    Compilation(state=CompilationState.COMPILING).write(server.files.compilations, "tiny", "2.0")

    lines = list[str]()
    wait_for_compilation(server.files.compilations, "tiny", "2.0", timeout=60, report=lines.append)

    assert lines[-1].startswith("Still compiling after 60 s (--load-timeout).")
    assert lines[-1].endswith("It is deployed without, and takes them later.")


@pytest.mark.usefixtures("clock")
def test_the_worker_of_an_older_archive_is_not_waited_for(server: FakeServer) -> None:
    lines = list[str]()

    wait_for_compilation(server.files.compilations, "tiny", "2.0", timeout=60, report=lines.append)

    assert lines == ["its worker does not compile: the archive is an older one"]
