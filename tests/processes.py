"""Who runs on this machine."""

import signal
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


def hear_interrupts() -> None:
    """A shell that starts the tests in the background lets them, and what they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def has_status(process: psutil.Process, status: str) -> bool:
    """`status` is one of psutil's."""
    try:
        return process.status() == status
    except psutil.NoSuchProcess:
        return False
