"""Where `torchbridge` begins: a signal in the second that its imports take ends it as a later one does, in one line."""

import sys

from adapter.stop_signals import Stopped, stop_signals


def main() -> None:
    try:
        with stop_signals():
            from adapter.cli import main as run_command  # noqa: PLC0415 - this is what takes the second
    except Stopped as stopped:
        sys.stderr.write(f"torchbridge: {stopped}\n")
        raise
    run_command()
