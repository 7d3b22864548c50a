"""All logs of a run directory, in the order of time."""

import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from adapter.log_lines.log_line import LogLine
from adapter.logs.log_file import LogFile
from adapter.logs.parsing import Parse, parse_gateway, parse_torchserve, parse_worker, printed
from adapter.torchserve.run_directory import RunDirectory


class RunLogs:
    """The gateway's, TorchServe's and the workers', of this TorchServe and of the one before it.

    A context manager: its files are closed at the end.
    """

    def __init__(self, run_directory: Path) -> None:
        directory = RunDirectory(run_directory)
        self._growing: list[LogFile] = []
        self._logs = [
            self._family(directory.gateway_log, parse_gateway),
            self._family(directory.logs / "ts_log.log", parse_torchserve),
            self._family(directory.worker_log, parse_worker),
            self._family(directory.output, None),
            *(
                [LogFile(path, parse or _parse_output(path))]
                for name, parse in (("ts_log", parse_torchserve), ("model_log", parse_worker), ("torchserve.out", None))
                for path in _oldest_first(directory.previous_logs, name)
            ),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in [*self._growing, *(each for files in self._logs for each in files)]:
            file.close()

    @property
    def is_empty(self) -> bool:
        return not any(self._logs)

    def lines(self) -> Iterator[LogLine]:
        """All lines that there are now."""
        return heapq.merge(*map(_chained, self._logs), key=_time)

    def new_lines(self) -> list[LogLine]:
        """The lines that have come since."""
        return sorted((line for file in self._growing for line in file.lines()), key=_time)

    def _family(self, path: Path, parse: Parse | None) -> list[LogFile]:
        """The file, and the full ones before it."""
        older = [each for each in _oldest_first(path.parent, path.name.removesuffix(".log")) if each != path]
        growing = LogFile(path, parse or _parse_output(path))
        self._growing.append(growing)
        files = [LogFile(each, parse or _parse_output(each)) for each in older]
        return [*files, growing] if path.exists() else files


def _oldest_first(directory: Path, name: str) -> list[Path]:
    """NAME.log and NAME.1.log, or NAME and NAME.1."""
    of_name = re.compile(rf"{re.escape(name)}(\.\d+)?(\.log)?(\.\d+)?")
    paths = [path for path in directory.glob(f"{name}*") if of_name.fullmatch(path.name) and path.is_file()]
    return sorted(paths, key=_changed_at)


def _parse_output(path: Path) -> Parse:
    return lambda text, _: printed(text, datetime.fromtimestamp(_changed_at(path), UTC))


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # by now it has another name
        return 0.0


def _chained(files: list[LogFile]) -> Iterator[LogLine]:
    for file in files:
        yield from file.lines()


def _time(line: LogLine) -> datetime:
    return line.time
