"""`make faults`: makes each fault again and again, and writes benchmarks/results/fault_table.md."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import Table, write_report
from tests.faults.callers import NUM_CALLERS, Fate
from tests.faults.listed import LISTED
from tests.faults.proportion import upper_bound
from tests.faults.repeated import Held, repeat
from tests.faults.under_load import FAULTS, Calls, make_faults

_METHOD = """\
*Under load*: a `torchbridge serve` with models/tiny, {callers} callers who know the text that they should be told, half
of them by streams; nobody tries anything again. A call *failed* if it was told so by a problem with a code, it was
*lost* if it had no end, and *wrong* if the text was another one than without a fault. *At most* is the upper end of
the exact interval of 95 % (Clopper and Pearson): the rate may be as high as that, after so few calls.

*In tests*: each fault is made by a test of this repository, which fails where something is lost, wrong, or not told as
it should be. *Runs* are of all its cases."""


def main() -> int:
    """1 where something was lost or wrong, or a test did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("load", "tests"), help="One half of it.")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="torchbridge-") as name:
        directory = Path(name)
        calls = {} if arguments.only == "tests" else make_faults(FAULTS, arguments.rounds, directory)
        held = {} if arguments.only == "load" else repeat(LISTED, arguments.rounds, directory)
    write_report(
        "fault_table",
        title="What becomes of calls when things break",
        method=_METHOD.format(callers=NUM_CALLERS),
        tables=[*_under_load(calls), *_in_tests(held)],
        command="make faults",
    )
    spoiled = sum(each.fates[Fate.LOST] + each.fates[Fate.WRONG] for each in calls.values())
    return int(spoiled + sum(each.failed for each in held.values()) > 0)


def _under_load(calls: Mapping[str, Calls]) -> list[Table]:
    header = ["Fault", "Runs", "Calls"]
    header += [part for fate in (Fate.FAILED, Fate.LOST, Fate.WRONG) for part in (fate.capitalize(), "at most")]
    rows = [[fault, str(each.runs), str(each.fates.total()), *_rates(each)] for fault, each in calls.items()]
    return [Table(header, rows, "Under load")] if rows else []


def _rates(calls: Calls) -> list[str]:
    return [
        shown
        for fate in (Fate.FAILED, Fate.LOST, Fate.WRONG)
        for shown in (str(calls.fates[fate]), _percent(upper_bound(calls.fates[fate], calls.fates.total())))
    ]


def _in_tests(held: Mapping[str, Held]) -> list[Table]:
    rows = [
        [fault, str(each.runs), str(each.failed), _percent(upper_bound(each.failed, each.runs))]
        for fault, each in held.items()
    ]
    return [Table(["Fault", "Runs", "Did not hold", "at most"], rows, "In tests")] if rows else []


def _percent(rate: float) -> str:
    return f"{rate:.2%}" if rate < 0.1 else f"{rate:.0%}"


if __name__ == "__main__":
    sys.exit(main())
