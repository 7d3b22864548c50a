"""Waits until TorchServe has read what this worker says before its end.

TorchServe closes the output of a worker as soon as its connection is gone, and reads no more of it
(WorkerLifeCycle.java, exit). So the words of a worker that says why it ends, and ends, may be lost.
"""

import fcntl
import os
import stat
import struct
import sys
import termios
import time
from contextlib import suppress
from typing import TextIO

_LONGEST_WAIT = 5.0  # seconds; a Java that stands still reads nothing
_SECONDS_BETWEEN_LOOKS = 0.01
# From reading a line to logging it. Java reads on only while the worker is connected (WorkerLifeCycle.java, run).
_SECONDS_TO_LOG = 0.1
_INT = struct.Struct("i")


def wait_until_read() -> None:
    """Returns when nothing is left in the pipes of standard output and standard error, or after five seconds."""
    deadline = time.monotonic() + _LONGEST_WAIT
    pipes = [stream for stream in (sys.stdout, sys.stderr) if _is_pipe(stream)]
    while any(_unread(pipe) for pipe in pipes) and time.monotonic() < deadline:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if pipes:
        time.sleep(_SECONDS_TO_LOG)


def _is_pipe(stream: TextIO) -> bool:
    with suppress(OSError, ValueError):  # closed, or not a file at all
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    return False


def _unread(pipe: TextIO) -> int:
    """Bytes (pipe(7): FIONREAD tells of them at both ends)."""
    pipe.flush()
    return int(_INT.unpack(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(_INT.size)))[0])
