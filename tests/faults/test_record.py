"""What was written down of runs, whoever was stopped while it wrote."""

from pathlib import Path

from tests.faults.record import Fate, Outcome, Run, add, read, tally


def run(fault: str, outcome: Outcome, **more: object) -> Run:
    return Run.model_validate({"fault": fault, "outcome": outcome, "seconds": 2, "commit": "abc"} | more)


def test_runs_of_a_fault_come_together(tmp_path: Path) -> None:
    record = tmp_path / "new" / "runs.jsonl"
    add(run("fire", Outcome.HELD, case="a", fates={Fate.RIGHT: 3, Fate.LOST: 1}), record)
    add(run("fire", Outcome.BROKEN, case="b", fates={Fate.RIGHT: 4}), record)
    add(run("water", Outcome.SKIPPED), record)
    tallies = tally(["fire", "water", "earth"], record)
    fire, water, earth = tallies.values()
    assert (fire.runs, fire.num_cases, fire.seconds_of_one) == (2, 2, 2)
    assert fire.fates == {Fate.RIGHT: 7, Fate.LOST: 1}
    assert (fire.outcomes[Outcome.BROKEN], water.runs, earth.runs) == (1, 0, 0)


def test_a_line_that_was_cut_short_is_no_run(tmp_path: Path) -> None:
    record = tmp_path / "runs.jsonl"
    add(run("fire", Outcome.HELD), record)
    add(run("fire", Outcome.HELD), record)
    record.write_text(record.read_text()[:-5])
    assert len(read(record)) == 1
