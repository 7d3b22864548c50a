"""`make faults`: makes each fault again and again, and writes benchmarks/results/fault_table.md."""

import argparse
import subprocess
import sys
import time

from tests.faults.listed import LISTED
from tests.faults.made import FAULTS
from tests.faults.page import write_page
from tests.faults.record import RECORD, Fate, Outcome, tally
from tests.faults.repeated import repeat
from tests.faults.under_load import make_faults
from tests.project import PROJECT


def main() -> int:
    """1 where something was lost or wrong, or a test did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3, help="Of each fault, or fewer where the time is over.")
    parser.add_argument("--minutes", type=float, help="Those under load have one half of it, and tests the other.")
    parser.add_argument("--only", choices=("load", "tests"), help="One half of it.")
    parser.add_argument("--go-on", action="store_true", help="With what was written down before.")
    arguments = parser.parse_args()
    if not arguments.go_on:
        RECORD.unlink(missing_ok=True)
    seconds = None if arguments.minutes is None else arguments.minutes * 60 / (1 if arguments.only else 2)
    try:
        if arguments.only != "tests":
            make_faults(FAULTS, arguments.rounds, RECORD, _commit(), _in(seconds))
        if arguments.only != "load":
            repeat(LISTED, arguments.rounds, RECORD, _commit(), _in(seconds))
    finally:  # also of what is stopped
        write_page(RECORD)
    return int(_is_spoiled())


def _in(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _is_spoiled() -> bool:
    tallies = tally([*FAULTS, *(each.fault for each in LISTED)], RECORD).values()
    return any(each.outcomes[Outcome.BROKEN] + each.fates[Fate.LOST] + each.fates[Fate.WRONG] for each in tallies)


def _commit() -> str:
    command = ["git", "describe", "--always", "--exclude=*", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
