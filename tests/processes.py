"""Who runs on this machine."""

from pathlib import Path

import psutil


def processes_of(run_directory: Path) -> list[psutil.Process]:
    """All that TorchServe started there: they share the temporary directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TEMP") == str(run_directory / "tmp"):
                found.append(process)
        except psutil.Error:
            continue
    return found
