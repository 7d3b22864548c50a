"""Tells a worker at once which answers nobody waits for. TorchServe says it as well, but only in its next call.

Each worker reads a named pipe beside its figures (adapter/engine_figures.py). Any gateway of the run directory writes
into it the id that TorchServe gave to the request (its header X-Request-Id). A word that is lost costs a few steps.

It is packed into archives, and needs nothing but Python.
"""

import os
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".stops"
_MOST_BYTES = 512  # of an id: POSIX writes as many in one piece (_POSIX_PIPE_BUF)
_MOST_AT_ONCE = 2**16  # bytes, what a pipe of Linux holds


class StopPipe:
    """A worker's end."""

    def __init__(self, directory: Path, model: str) -> None:
        """directory: where the workers write. Raises OSError."""
        pipes = directory / model
        pipes.mkdir(parents=True, exist_ok=True)
        _forget_the_dead(pipes)
        unnamed = pipes / f"{os.getpid()}.half"  # until somebody reads it, it would be taken for a dead worker's
        os.mkfifo(unnamed, mode=0o600)
        self._pipe = os.open(unnamed, os.O_RDONLY | os.O_NONBLOCK)
        unnamed.replace(pipes / f"{os.getpid()}{_SUFFIX}")

    def take(self) -> list[str]:
        """The requests that were stopped since the last call, by TorchServe's ids. It does not wait."""
        try:
            return os.read(self._pipe, _MOST_AT_ONCE).decode(errors="replace").split()
        except BlockingIOError:  # somebody is about to write
            return []

    def close(self) -> None:
        os.close(self._pipe)


def write_stop(directory: Path, model: str, request_id: str) -> None:
    """Tells each worker of the model; those that have no such request pay no heed. Nothing is raised."""
    word = f"{request_id}\n".encode()
    if len(word) > _MOST_BYTES:
        return
    for path in (directory / model).glob(f"*{_SUFFIX}"):
        with suppress(OSError):  # the worker is gone, or has not read for a long time
            _write(path, word)


def _write(path: Path, word: bytes) -> None:
    pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(pipe, word)
    finally:
        os.close(pipe)


def _forget_the_dead(pipes: Path) -> None:
    """Removes the pipes that nobody reads: TorchServe starts a new worker for each one that dies."""
    for path in pipes.glob(f"*{_SUFFIX}"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            path.unlink(missing_ok=True)
