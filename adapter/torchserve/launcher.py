"""Runs TorchServe's own launcher as one process group, and leaves nothing of that group behind when it ends.

Standard input is a pipe that the starter holds open. Its end means "stop", and it also ends when the starter is killed.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import psutil

from adapter.torchserve.output_rotation import rotate

GRACE_SECONDS = 10
_SECONDS_BETWEEN_LOOKS = 0.2


def main(output: Path, arguments: list[str]) -> None:
    """`output` is where all of it prints."""
    _leave_terminal()
    # A handler, not SIG_IGN: children would inherit that, and Java could not be asked to stop. A group that loses its
    # starter while one of it is stopped gets SIGHUP (setpgid(2)).
    for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signal_number, lambda *_: None)
    try:
        command = [sys.executable, "-m", "ts.model_server", *arguments]
        torchserve = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - ours, not a caller's
        while torchserve.poll() is None and not select.select([sys.stdin], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
            rotate(output)
        _end(torchserve)
    finally:
        # Workers outlive a Java that crashed, and this process is of the group too: this is its last act.
        os.killpg(0, signal.SIGKILL)


def _leave_terminal() -> None:
    """Gives up the terminal, for this process and those that it will start.

    The group is in the background of the gateway's terminal: a model's code that reads it, or a tool that asks there
    for a password, would stop all of the group (SIGTTIN and SIGTTOU, termios(3)). Now it is told that there is none.
    """
    with suppress(OSError):  # there is none
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.ioctl(terminal, termios.TIOCNOTTY)  # of this process alone, as it leads no session (ioctl_tty(2))
        finally:
            os.close(terminal)


def _end(torchserve: subprocess.Popen[bytes]) -> None:
    """The workers may clean up. Java has nothing to, and would wait two seconds for calls that nobody makes any more.

    It is told to end, so that it starts no worker again. What is left of it has a parent to the end, who reaps it.
    """
    java = _children(torchserve.pid)
    if not java:  # TorchServe's launcher has not come to start it
        torchserve.kill()
    workers = [each for process in java for each in _children(process.pid, recursive=True)]
    for process in java + workers:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(workers, timeout=GRACE_SECONDS)
    for process in java:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        torchserve.wait(GRACE_SECONDS)


def _children(pid: int, *, recursive: bool = False) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
