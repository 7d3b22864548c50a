"""One log file that grows, and may be renamed, while it is read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from adapter.log_lines.log_line import LogLine
from adapter.logs.parsing import Parse

_LONGEST_LINE = 2**20  # bytes; what is longer comes in pieces


class LogFile:
    def __init__(self, path: Path, parse: Parse) -> None:
        self._path, self._parse = path, parse
        self._file: BinaryIO | None = None
        self._last: LogLine | None = None

    def lines(self) -> Iterator[LogLine]:
        """The new lines, up to the last whole one. A renamed file is read to its end, then its successor."""
        while file := self._opened():
            while text := self._next(file):
                self._last = self._parse(text.decode(errors="replace").rstrip("\r\n"), self._last)
                yield self._last
            if not self._is_moved(file):
                return
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO | None:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # it was emptied (output_rotation.py)
            self._file.seek(0)
        return self._file

    def _next(self, file: BinaryIO) -> bytes:
        begin = file.tell()
        text = file.readline(_LONGEST_LINE)
        if text.endswith(b"\n") or len(text) == _LONGEST_LINE:
            return text
        file.seek(begin)  # the rest of it has yet to come
        return b""

    def _is_moved(self, file: BinaryIO) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:  # it was renamed right now: another file will have the name
            return False
