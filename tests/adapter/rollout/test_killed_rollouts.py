"""A rollout that is killed at any of its steps: the same command goes on, and an abort goes back, on all hosts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from adapter.durable.json_lines import JournalLine, append_line
from adapter.rollout import journal as rollout_journal
from adapter.rollout.rollout import RolloutController
from adapter.versions.desired_state import DesiredState
from tests.adapter.rollout.conftest import TWO
from tests.adapter.rollout.fake_hosts import FakeHost
from tests.adapter.rollout.test_rollout import AFTER, BEFORE, served

NUM_LINES = 6  # a begin, two for each of two hosts, and the end

Hosts = dict[str, FakeHost]


class Killed(BaseException): ...


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Before the journal's line of this number: what was between the one before and this one is done."""
    written: list[None] = []

    def write(path: Path, line: JournalLine) -> None:
        written.append(None)
        if len(written) == number:
            raise Killed
        append_line(path, line)

    with pytest.MonkeyPatch.context() as patched, suppress(Killed):
        patched.setattr(rollout_journal, "append_line", write)
        yield
        raise AssertionError("It was not killed.")


@pytest.mark.parametrize("number", range(1, NUM_LINES + 1))
def test_the_same_command_goes_on(
    controller: Callable[[], RolloutController], hosts: Hosts, desired: DesiredState, number: int
) -> None:
    with killed_at(number):
        controller().roll_out(TWO, desired, 1)
    assert {default for default, _ in served(hosts)} <= {"1.0", "2.0"}
    controller().roll_out(TWO, desired, 1)
    assert served(hosts)[:2] == [AFTER] * 2


@pytest.mark.parametrize("number", range(2, NUM_LINES + 1))
def test_an_abort_goes_back(
    controller: Callable[[], RolloutController], hosts: Hosts, desired: DesiredState, number: int
) -> None:
    with killed_at(number):
        controller().roll_out(TWO, desired, 1)
    controller().abort()
    assert served(hosts)[:2] == [BEFORE] * 2


@pytest.mark.parametrize("number", range(1, NUM_LINES + 1))
def test_an_abort_that_is_killed_goes_on(
    controller: Callable[[], RolloutController], hosts: Hosts, desired: DesiredState, number: int
) -> None:
    controller().roll_out(TWO, desired, 2)
    with killed_at(number):
        controller().abort()
    controller().abort()
    assert served(hosts)[:2] == [BEFORE] * 2


def test_a_line_that_was_half_written_was_never_begun(
    controller: Callable[[], RolloutController], hosts: Hosts, desired: DesiredState, tmp_path: Path
) -> None:
    with killed_at(5):
        controller().roll_out(TWO, desired, 1)
    journal = tmp_path / "rollout.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    controller().roll_out(TWO, desired, 1)
    assert served(hosts)[:2] == [AFTER] * 2
