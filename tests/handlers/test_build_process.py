"""A build beside a worker: a real process that plays the compiler, in an unpacked archive of its own."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from handlers import build_process, transient_failures
from handlers.build_process import BuildFailed, build
from tests.waiting import wait_until

WORKER = (
    "import sys; from pathlib import Path; from handlers.build_process import build; build(*map(Path, sys.argv[1:]))"
)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def unpacked(directory: Path, compiler: str, *, priority: int = 0) -> Path:
    """An archive whose code compiles as `compiler` says, where others keep the machine busy: at a build's own priority
    it would hardly come to it.
    """
    (directory / "handlers").mkdir()
    (directory / "handlers" / "__init__.py").touch()
    for module in (build_process, transient_failures):
        shutil.copy(str(module.__file__), directory / "handlers")
    copy = directory / "handlers" / "build_process.py"
    copy.write_text(copy.read_text().replace("_LOWEST_PRIORITY = 19", f"_LOWEST_PRIORITY = {priority}"))
    (directory / "handlers" / "compile_model.py").write_text(compiler)
    return directory


def test_what_it_says_is_in_the_workers_log(tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    archive = unpacked(tmp_path, "import sys; print(*sys.argv[1:]); print('warning: slow', file=sys.stderr)")

    build(archive, tmp_path / "steps", scratch)

    assert sorted(caplog.messages) == [
        f"torchbridge: compiling: {archive} {tmp_path / 'steps'} {scratch}",
        "torchbridge: compiling: warning: slow",
    ]


def test_it_takes_what_nobody_else_wants(tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    say = "import os; print(os.nice(0), os.environ['OMP_NUM_THREADS'], open('/proc/self/oom_score_adj').read())"

    build(unpacked(tmp_path, say, priority=19), tmp_path / "steps", scratch)

    assert caplog.messages == ["torchbridge: compiling: 19 1 1000"]


def test_a_low_priority_is_one_among_the_workers_own_processes(
    tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Linux weighs sessions alike, however low the priority of what is in them (sched_autogroup)."""
    caplog.set_level("INFO")

    build(unpacked(tmp_path, "import os; print(os.getsid(0))"), tmp_path / "steps", scratch)

    assert caplog.messages == [f"torchbridge: compiling: {os.getsid(0)}"]


def test_what_it_leaves_in_the_scratch_directory_is_deleted(tmp_path: Path, scratch: Path) -> None:
    litter = (
        "import os, tempfile, pathlib; tempfile.mkdtemp(); pathlib.Path(os.environ['TORCHINDUCTOR_CACHE_DIR']).mkdir()"
    )

    build(unpacked(tmp_path, litter), tmp_path / "steps", scratch)

    assert not scratch.exists()


@pytest.mark.parametrize(
    ("compiler", "reason", "is_lasting"),
    [
        pytest.param("import sys; sys.exit('it cannot be one graph')", "it cannot be one graph", True, id="refused"),
        pytest.param(
            "import sys; sys.exit('[Errno 28] No space left on device')",
            r"\[Errno 28\] No space left on device",
            False,
            id="full disk",
        ),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)", "the compiler was ended by signal 9", False, id="out of memory"
        ),
        pytest.param("raise MemoryError", "MemoryError", False, id="Python's memory"),
        pytest.param("import sys; sys.exit('cc1plus: out of memory')", "cc1plus: out of memory", False, id="g++'s"),
        pytest.param(
            "import sys; sys.exit('g++: fatal error: Killed signal terminated program cc1plus')",
            r"g\+\+: fatal error: Killed signal terminated program cc1plus",
            False,
            id="g++ killed",
        ),
        pytest.param("import sys; sys.exit(1_000 * 'g++ ' + 'no')", r"[g+ ]{298}no", True, id="long"),
        pytest.param(
            "import sys; sys.exit('no\\nsys:1: ResourceWarning: unclosed\\nwarning: slow')", "no", True, id="warnings"
        ),
    ],
)
def test_it_says_why_it_failed_and_whether_it_always_will(
    tmp_path: Path, scratch: Path, compiler: str, reason: str, *, is_lasting: bool
) -> None:
    with pytest.raises(BuildFailed, match=f"^{reason}$") as failure:
        build(unpacked(tmp_path, compiler), tmp_path / "steps", scratch)

    assert failure.value.is_lasting is is_lasting


@pytest.mark.parametrize(
    ("compiler", "is_killed"),
    [
        pytest.param("import os; os.kill(os.getpid(), 9)", True, id="the compiler"),
        pytest.param("import os; os.kill(os.getppid(), 9)", True, id="the build"),
        pytest.param("import sys; sys.exit('g++: Killed signal terminated program')", True, id="g++"),
        pytest.param("import os; os.kill(os.getpid(), 15)", False, id="stopped"),
        pytest.param("import sys; sys.exit('it cannot be one graph')", False, id="refused"),
    ],
)
def test_it_says_whether_it_was_killed(tmp_path: Path, scratch: Path, compiler: str, *, is_killed: bool) -> None:
    with pytest.raises(BuildFailed) as failure:
        build(unpacked(tmp_path, compiler), tmp_path / "steps", scratch)

    assert failure.value.is_killed is is_killed
    assert not (is_killed and failure.value.is_lasting)


@pytest.mark.parametrize("is_worker", [True, False], ids=["the worker is killed", "the build is told to stop"])
def test_nothing_of_a_build_outlives_its_worker(tmp_path: Path, scratch: Path, *, is_worker: bool) -> None:
    compiler = (
        "import subprocess, sys, time; sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "subprocess.Popen(sleep)\n"  # as g++
        "open(sys.argv[3] + '/half.so', 'w').close()\n"
        "time.sleep(600)\n"
    )
    arguments = [str(path) for path in (unpacked(tmp_path, compiler), tmp_path / "steps", scratch)]
    with subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stderr=subprocess.DEVNULL) as worker:
        wait_until((scratch / "half.so").exists)
        processes = psutil.Process(worker.pid).children(recursive=True)
        assert len(processes) == 3

        os.kill(worker.pid if is_worker else processes[0].pid, signal.SIGKILL if is_worker else signal.SIGTERM)
        wait_until(lambda: not any(process.is_running() for process in processes))

    assert not scratch.exists()
