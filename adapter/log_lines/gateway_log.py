"""Writes the gateway's lines to the standard error, and to a file of bounded size."""

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adapter.log_lines.log_line import JsonFormatter
from adapter.process.background_output import BackgroundStream
from adapter.settings import LogFormat

MAX_BYTES, MAX_OLDER = 20 * 2**20, 5  # as log4j2.xml has it


class RotatingFile(io.RawIOBase):
    """Appends to `path`, its owner's alone. When it is full it becomes NAME.1, that NAME.2, and so on."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, max_older: int = MAX_OLDER) -> None:
        super().__init__()
        self._path, self._max_bytes, self._max_older = path, max_bytes, max_older
        self._open()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]  # no other buffer comes here
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        written = os.write(self._file, data)
        self._size += written
        return written

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        """Where no file can be made the last one goes on: nothing is closed before there is another one."""
        with suppress(OSError):
            self._take_place_of_all(os.open(self._next, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _take_place_of_all(self, following: int) -> None:
        with suppress(OSError):  # a file that cannot be renamed is lost, and not the lines to come
            for number in range(self._max_older, 0, -1):
                with suppress(FileNotFoundError):
                    self._numbered(number - 1).rename(self._numbered(number))
            self._next.rename(self._path)
        os.close(self._file)
        self._file, self._size = following, 0

    @property
    def _next(self) -> Path:
        return self._path.with_name(f"{self._path.name}.next")

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


@contextmanager
def log_lines(log_format: LogFormat, path: Path) -> Iterator[None]:
    """Shows log lines on the standard error: the gateway has one for each request, and for each failure why.

    It keeps all lines at `path`, as JSON. Nobody who logs waits for the disk.
    """
    shown = logging.StreamHandler()
    shown.setFormatter(_formatter(log_format))
    everything, gateway = logging.getLogger(), logging.getLogger("adapter")
    file = io.TextIOWrapper(RotatingFile(path), encoding="utf-8")  # type: ignore[type-var]
    background = BackgroundStream(file)
    kept = logging.StreamHandler(background)
    kept.setFormatter(JsonFormatter())
    for handler in (shown, kept):
        everything.addHandler(handler)
    gateway.setLevel(logging.INFO)
    try:
        yield
    finally:
        gateway.setLevel(logging.NOTSET)
        for handler in (shown, kept):
            everything.removeHandler(handler)
        background.end()
        if not background.is_writing():  # unless the disk hangs
            file.close()


def _formatter(log_format: LogFormat) -> logging.Formatter:
    return JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
