"""Compiles steps at low priority, and leaves nothing half made when it ends, or when its worker does.

`python -m handlers.build_process DIRECTORY COMPILED_STEPS SCRATCH`
As handlers.compile_model, which it starts. Standard input is a pipe that the worker holds open: its end means "stop",
and it also ends where the worker was killed. This process imports no torch: it only waits.
"""

import logging
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from handlers.transient_failures import is_transient

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.2
_LOWEST_PRIORITY = 19
_LONGEST_REASON = 300  # characters; the command line of a compiler alone takes kilobytes
# Not by SIGTERM, which ends what is stopped. The second is what g++ says of its own process.
_KILLED = re.compile(r"by signal (?!15\b)|Killed signal")
# Warnings that Python and our own commands print, perhaps after the reason: at exit.
_WARNING = re.compile(r"^warning: |^\S+:\d+: \w*Warning: |^warnings\.warn\(")


class BuildFailed(RuntimeError):
    """The steps were not compiled, and the message says why.

    is_lasting: they would not be another time, either; is_killed: it was ended by a signal, and nobody knows whose.
    """

    def __init__(self, reason: str, *, is_lasting: bool, is_killed: bool = False) -> None:
        super().__init__(reason)
        self.is_lasting, self.is_killed = is_lasting, is_killed


def build(directory: Path, compiled_steps: Path, scratch: Path) -> None:
    """Builds for minutes, at low priority. Its output is in the worker's log. Raises BuildFailed.

    The archive's own code does it, which TorchServe has unpacked into `directory`.
    """
    command = [sys.executable, "-m", "handlers.build_process", str(directory), str(compiled_steps), str(scratch)]
    last = "it ended without a word"
    with subprocess.Popen(  # noqa: S603 - our own
        command,
        cwd=directory,
        stdin=subprocess.PIPE,  # which ends with this worker
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,  # no session: see main
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for mypy
        for line in filter(None, map(str.strip, process.stdout)):
            logger.info("torchbridge: compiling: %s", line)
            if not _WARNING.search(line):
                last = line
    if process.returncode:
        raise _failure(process.returncode, last)


def _failure(status: int, last: str) -> BuildFailed:
    reason = f"the build was ended by signal {-status}" if status < 0 else last
    return BuildFailed(
        reason[-_LONGEST_REASON:],
        is_lasting=status == 1 and not is_transient(reason),
        is_killed=_KILLED.search(reason) is not None,
    )


def main(command: list[str], scratch: Path) -> int:
    """The exit status of the command, or minus the number of the signal that has ended it. `scratch` is deleted."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    _stand_back()
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "cache"),  # else hundreds of megabytes stay for good
        "TMPDIR": str(scratch),
    }
    # A group of its own, so that its compilers can be ended with it, but no session of its own: where the kernel groups
    # processes by session (sched_autogroup) a low priority holds within that group only.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, process_group=0)  # noqa: S603 - ours
    try:
        while process.poll() is None and not select.select([sys.stdin], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
            pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    return process.returncode


def _stand_back() -> None:
    """Gives way to all others on this machine, in memory, too: if the kernel ends a process, it is this one."""
    os.nice(_LOWEST_PRIORITY)
    with suppress(AttributeError, psutil.Error, OSError):  # not every system has it
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


if __name__ == "__main__":
    _, directory, compiled_steps, scratch = sys.argv
    status = main([sys.executable, "-m", "handlers.compile_model", directory, compiled_steps, scratch], Path(scratch))
    if status < 0:
        sys.exit(f"the compiler was ended by signal {-status}")
    sys.exit(status)
