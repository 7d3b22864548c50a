"""Writes a worker's figures where the gateway looks for them, as long as there is something new to say."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from adapter.compilation import COMPILATIONS_VARIABLE
from adapter.engine_figures import EngineFigures, file_of_figures

_SECONDS_BETWEEN_LOOKS = 1.0


def write_figures(look: Callable[[], EngineFigures], model: str, version: str) -> None:
    """Starts a thread that ends with the process. It writes nowhere if nobody has said where."""
    if (directory := os.environ.get(COMPILATIONS_VARIABLE)) is None:
        return
    writer = FiguresWriter(look, Path(directory), model, version)
    threading.Thread(target=writer.run, name="figures", daemon=True).start()


class FiguresWriter:
    def __init__(self, look: Callable[[], EngineFigures], directory: Path, model: str, version: str) -> None:
        self._look = look
        self._directory, self._model, self._version = directory, model, version
        self._written: EngineFigures | None = None

    def run(self) -> None:
        self._forget_the_dead()
        pause = threading.Event()
        while not pause.wait(_SECONDS_BETWEEN_LOOKS):
            self.write()

    def write(self) -> None:
        """Writes new figures. An idle engine has none, and its disk sleeps. A full disk does not end the serving."""
        figures = self._look()
        written = self._written
        if written is None or written != figures.model_copy(update={"resident_bytes": written.resident_bytes}):
            with suppress(OSError):
                figures.write(self._directory, self._model, self._version)
                self._written = figures

    def _forget_the_dead(self) -> None:
        """Deletes what earlier workers of this version have left: TorchServe starts a new one for each that dies."""
        pattern = file_of_figures(self._directory, self._model, self._version, 0)
        for file in pattern.parent.glob(f"{self._version}.*.figures"):
            worker = file.name.removeprefix(f"{self._version}.").removesuffix(".figures")
            if worker.isdecimal() and not psutil.pid_exists(int(worker)):
                file.unlink(missing_ok=True)
