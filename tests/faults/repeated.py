"""Runs the listed tests again and again, and writes down how often one of them did not hold."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.again import Plan
from tests.faults.listed import Listed
from tests.faults.record import Tally, tally
from tests.project import PROJECT

_HELD, _SOME_DID_NOT, _STOPPED = 0, 1, 2  # pytest's exit codes


def repeat(
    listed: Sequence[Listed], rounds: int, record: Path, commit: str, deadline: float | None = None
) -> Mapping[str, Tally]:
    """Until each has `rounds` runs, or the time is over. Raises RuntimeError where pytest could not run them.

    deadline: of time.monotonic(). The first sitting takes the time of each; then come sittings of half of the time
    that is left, with those that need the least of it: as many as possible have all their runs.
    """
    faults = [each.fault for each in listed]
    tallies = tally(faults, record)
    while wanted := [each for each in listed if _is_wanted(tallies[each.fault], rounds)]:
        if deadline is not None and time.monotonic() > deadline:
            break
        seconds = None if deadline is None else (deadline - time.monotonic()) / 2
        turns = turns_of_a_sitting(wanted, tallies, rounds, seconds)
        names = {each.node: each.fault for each in wanted if each.node in turns}
        _sit(Plan(faults=names, turns=turns, record=record, commit=commit, deadline=deadline))
        tallies = tally(faults, record)
    return tallies


def _is_wanted(so_far: Tally, rounds: int) -> bool:
    """What was skipped is skipped each time."""
    return so_far.runs < rounds and not (so_far.outcomes and not so_far.runs)


def turns_of_a_sitting(
    wanted: Sequence[Listed], tallies: Mapping[str, Tally], rounds: int, seconds: float | None
) -> dict[str, int]:
    """By test. A turn is one of all its cases, of which the first sitting has shown how many there are."""
    if new := [each for each in wanted if not tallies[each.fault].runs]:
        return {each.node: 1 for each in new}
    missing = {each: -(-(rounds - tallies[each.fault].runs) // tallies[each.fault].num_cases) for each in wanted}
    if seconds is None:
        return {each.node: turns for each, turns in missing.items()}
    costs = {each: tallies[each.fault].seconds_of_one * tallies[each.fault].num_cases for each in wanted}
    cheapest, *others = sorted(wanted, key=lambda each: missing[each] * costs[each])
    turns = {cheapest.node: max(1, min(missing[cheapest], int(seconds / costs[cheapest])))}
    seconds -= turns[cheapest.node] * costs[cheapest]
    for each in others:
        if missing[each] * costs[each] > seconds:
            break
        turns[each.node] = missing[each]
        seconds -= missing[each] * costs[each]
    return turns


def _sit(plan: Plan) -> None:
    with TemporaryDirectory(prefix="torchbridge-") as directory:
        file = Path(directory, "plan.json")
        file.write_text(plan.model_dump_json())
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
        command += ["-p", "tests.faults.again", "--plan", str(file)]
        # By file: what tests of one file share is started once.
        done = subprocess.run([*command, *sorted(plan.turns)], check=False, cwd=PROJECT)
    is_over = plan.deadline is not None and time.monotonic() > plan.deadline
    if done.returncode not in {_HELD, _SOME_DID_NOT} and not (done.returncode == _STOPPED and is_over):
        raise RuntimeError(f"pytest ended with {done.returncode}")
