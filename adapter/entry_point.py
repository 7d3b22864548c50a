"""The entry point of `torchbridge`: a signal in the second of its imports ends it as a later one does, in one line."""

import io
import os
import sys

from adapter.process.stop_signals import Stopped, stop_signals


def main() -> None:
    _open_standard_streams()
    _take_any_text()
    try:
        with stop_signals():
            from adapter.cli import main as run_command  # noqa: PLC0415 - this is what takes the second
    except Stopped as stopped:
        sys.stderr.write(f"torchbridge: {stopped}\n")
        raise
    run_command()


def _take_any_text() -> None:
    """Shows characters escaped that the terminal's encoding lacks: names of files and answers may have any."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _open_standard_streams() -> None:
    """Opens streams that the caller closed (`>&-`) to nowhere: otherwise the next opened file gets the output."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
