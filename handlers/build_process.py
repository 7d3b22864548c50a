"""Compiles decode steps at low priority, and leaves nothing half made when it ends, or when its worker does.

`python -m handlers.build_process DIRECTORY COMPILED_STEPS SCRATCH`
As handlers.compile_model, which it starts. Standard input is a pipe that the worker holds open: its end means "stop",
and it also ends where the worker was killed. This process imports no torch: it only waits.
"""

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from errno import EDQUOT, ENOMEM, ENOSPC
from pathlib import Path

import psutil

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.2
_LOWEST_PRIORITY = 19
# They pass, so the next worker tries again.
_PASSING = ("by signal", *(os.strerror(number) for number in (EDQUOT, ENOMEM, ENOSPC)))


class BuildFailed(RuntimeError):
    """The steps were not compiled, and the message says why. `is_lasting`: they would not be another time, either."""

    def __init__(self, reason: str, *, is_lasting: bool) -> None:
        super().__init__(reason)
        self.is_lasting = is_lasting


def build(directory: Path, compiled_steps: Path, scratch: Path) -> None:
    """Minutes, at low priority. What it says is in the worker's log. Raises BuildFailed.

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
            last = line
    if process.returncode:
        is_lasting = process.returncode == 1 and not any(words in last for words in _PASSING)
        raise BuildFailed(last, is_lasting=is_lasting)


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
    """Behind all others on this machine; of its memory, too: where it runs out this ends, and no worker."""
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
