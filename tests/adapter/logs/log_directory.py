"""A run directory with logs, in the forms that TorchServe and the gateway write."""

from datetime import UTC, datetime
from pathlib import Path

from adapter.log_lines.log_line import LogLine
from adapter.torchserve.run_directory import RunDirectory

WORKER = "W-9000-tiny_1.0-stdout"


class LogDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = RunDirectory(path)
        self.files.logs.mkdir()

    def gateway(self, second: int, message: str, level: str = "info", **fields: object) -> None:
        line = LogLine(
            time=datetime(2026, 11, 30, 0, 0, second, tzinfo=UTC),
            level=level,
            source="gateway",
            message=message,
            **fields,
        )
        append(self.files.gateway_log, line.json_line())

    def torchserve(self, second: int, message: str, level: str = "INFO ", offset: str = "Z") -> None:
        logger = "org.pytorch.serve.ModelServer"
        append(self.files.logs / "ts_log.log", f"{stamp(second)}{offset} [{level}] main {logger} - {message}")

    def worker(self, second: int, message: str, thread: str = WORKER, level: str = "INFO ") -> None:
        append(self.files.worker_log, f"{stamp(second)}Z [{level}] {thread} - {message}")


def stamp(second: int) -> str:
    return f"2026-11-30T00:00:{second:02},000"


def append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
