"""Reads from the workers' log whether they gave up: TorchServe only retries for five minutes and then goes silent."""

import re
from pathlib import Path

_REFUSAL = "torchbridge: cannot load the model: "
_START = "Torch worker started."
# WorkerLifeCycle's line for the end of a worker's output; log4j2.xml sends it to this log.
_DEATH = re.compile(r"Stopped Scanner - \S+-stdout$")
_ERROR = re.compile(r"(?:^|[ -] )((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*)$")


class WorkerLog:
    """What the log at `path` says so far; `read` takes in what has come since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refusal: str | None = None
        self.error: str | None = None
        self.deaths = 0
        self._position = 0

    def read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._position)
            whole, end, _ = file.read().rpartition(b"\n")
        self._position += len(whole) + len(end)
        for line in whole.decode(errors="replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        _, mark, reason = line.partition(_REFUSAL)
        if mark:
            self.refusal = reason.strip()
        elif _DEATH.search(line):
            self.deaths += 1
        elif line.endswith(_START):
            self.error = None
        elif error := _ERROR.search(line):
            # The loader answers the first error with a second, misleading one (ts/model_loader.py, load).
            self.error = self.error or error[1]
