"""Makes faults while callers call, and writes down what became of their calls."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from adapter.errors import TorchbridgeError
from tests.end_to_end.own_serve import Served, serving_model
from tests.faults.callers import NUM_CALLERS, calling_who_know
from tests.faults.record import Fate, Outcome, Run, add, tally
from tests.project import PROJECT
from tests.waiting import PATIENCE_WITH_WORKERS

_TINY = PROJECT / "models" / "tiny"
_ENVIRONMENT = {"TORCHBRIDGE_SILENCE_TIMEOUT": "16", "TORCHBRIDGE_CACHE_MAX_AGE": "0", "TORCHBRIDGE_COMPILE": "false"}

Fault = Callable[[Served], None]


def make_faults(
    faults: Mapping[str, Fault], rounds: int, record: Path, commit: str, deadline: float | None = None
) -> None:
    """Until each was made `rounds` times, or the time is over; all once in a server, and then in another one.

    deadline: of time.monotonic().
    """
    while wanted := [fault for fault, so_far in tally(faults, record).items() if so_far.runs < rounds]:
        with (
            TemporaryDirectory(prefix="torchbridge-") as directory,
            serving_model(Path(directory), _TINY, _ENVIRONMENT) as served,
        ):
            for fault in wanted:
                if deadline is not None and time.monotonic() > deadline:
                    return
                outcome, fates, seconds = make_fault(faults[fault], served)
                run = Run(fault=fault, outcome=outcome, seconds=seconds, commit=commit, fates=fates)
                add(run, record)
                sys.stderr.write(f"{run}\n")
                if outcome is Outcome.BROKEN:
                    break


def make_fault(fault: Fault, served: Served) -> tuple[Outcome, Counter[Fate], float]:
    """Amid calls: some end before it, and some begin after it."""
    served.wait_until_ready()
    began_at = time.monotonic()
    with calling_who_know(served.url) as callers:
        try:
            callers.wait_for_more(2 * NUM_CALLERS, PATIENCE_WITH_WORKERS)
            fault(served)
            served.wait_until_ready()
            callers.wait_for_more(2 * NUM_CALLERS, PATIENCE_WITH_WORKERS)
            outcome = Outcome.HELD
        except (AssertionError, TorchbridgeError, psutil.Error):  # of a wait, or of what was looked for
            traceback.print_exc()
            outcome = Outcome.BROKEN
    return outcome, callers.outcomes, time.monotonic() - began_at
