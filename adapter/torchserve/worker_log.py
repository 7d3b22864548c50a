"""Reads from the workers' log whether they gave up: TorchServe only retries for five minutes and then goes silent."""

import re
from pathlib import Path

_REFUSAL = "torchbridge: cannot load the model: "
_START = "Torch worker started."
# WorkerLifeCycle's line for the end of a worker's output; log4j2.xml sends it to this log.
_DEATH = re.compile(r"Stopped Scanner - \S+-stdout$")
_ERROR = re.compile(r"(?:^|[ -] )((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*)$")

# TorchServe closes the output of a worker whose connection is gone (WorkerLifeCycle.java, exit): the last words of a
# life may be lost, those of several in a row hardly.
_MAX_DEATHS, _MAX_SILENT_DEATHS = 2, 3


class WorkerLog:
    """What the log at `path` says so far; `read` takes in what has come since.

    With `model` and `version` it is only what their workers say from now on.
    """

    def __init__(self, path: Path, model: str = "", version: str = "") -> None:
        self.path = path
        # The name of the thread that reads a worker's output (WorkerLifeCycle.java, ReaderThread).
        self._speaker = re.compile(rf"\bW-\d+-{re.escape(model)}_{re.escape(version)}-std(out|err)\b" if model else "")
        self.refusal: str | None = None
        self.error: str | None = None  # the first one of the last life that told of any
        self._error_is_of_this_life = False
        self.deaths = 0
        self._position = path.stat().st_size if model and path.exists() else 0

    @property
    def failure(self) -> str | None:
        """Why the workers will never be ready."""
        if self.refusal is not None:
            return f"The worker cannot load the model: {self.refusal}"
        if self.deaths >= (_MAX_DEATHS if self.error else _MAX_SILENT_DEATHS):
            reason = self.error or "it says nothing, perhaps it is killed for want of memory"
            return f"The worker dies while it loads the model: {reason}. See {self.path}."
        return None

    def read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._position)
            whole, end, _ = file.read().rpartition(b"\n")
        self._position += len(whole) + len(end)
        for line in whole.decode(errors="replace").splitlines():
            if self._speaker.search(line):
                self._take(line)

    def _take(self, line: str) -> None:
        _, mark, reason = line.partition(_REFUSAL)
        if mark:
            self.refusal = reason.strip()
        elif _DEATH.search(line):
            self.deaths += 1
        elif line.endswith(_START):
            self._error_is_of_this_life = False
        elif not self._error_is_of_this_life and (error := _ERROR.search(line)):
            # The loader answers the first error with a second, misleading one (ts/model_loader.py, load).
            self.error, self._error_is_of_this_life = error[1], True
