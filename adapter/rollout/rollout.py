"""New versions for many hosts, some at a time, each by its own journaled changes; and back again by one command.

Killed at any step, the same command goes on: it asks the hosts, and does not go by what it remembers.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from adapter.control.rollout_messages import HostReport, RolloutOrder
from adapter.rollout.agreement import check_agreement, check_served, has_digests, order_of, served_before, with_digests
from adapter.rollout.carrying_out import OrderSender
from adapter.rollout.errors import RolloutError, RolloutRefused
from adapter.rollout.host import Host, HostAway
from adapter.rollout.journal import Begun, Rollout, RolloutJournal, Stage, Step
from adapter.versions.desired_state import DesiredState

HostNamed: TypeAlias = Callable[[str], Host]

_GO_ON = "The same command goes on, torchbridge rollout abort goes back on all hosts."


@dataclass
class RolloutController:
    """Hold the journal's lock. Each method raises RolloutError, or RolloutRefused where nothing was begun."""

    journal: RolloutJournal
    sender: OrderSender
    host: HostNamed
    report: Callable[[str], None]

    def roll_out(self, names: Sequence[str], desired: DesiredState, at_once: int) -> Rollout:
        """All hosts serve `desired` at its end, and still have what it took the place of."""
        rollout = self._begin_or_go_on(tuple(names), desired)
        if rollout.stage is Stage.DONE:
            self.report("all hosts serve it already")
            return rollout
        seen = rollout.begun.before | {name: self._ask(name) for name in rollout.hosts if rollout.is_done(name)}
        while waiting := [name for name in rollout.begun.hosts if not rollout.is_done(name)]:
            wanted = with_digests(desired, seen.values())
            # Until the content is known, one host has it: a second one could be given another content.
            batch = waiting[: at_once if has_digests(wanted) else 1]
            self.report(f"{', '.join(batch)} ({len(names) - len(waiting)} of {len(names)} are done)")
            try:
                rollout, found = self._carry_out(rollout, batch, dict.fromkeys(batch, wanted), keeps_others=True)
            except RolloutError as error:
                raise RolloutError(f"{error} {_GO_ON}") from error
            seen |= found
        return self.journal.enter(rollout, Stage.DONE)

    def abort(self) -> Rollout:
        """Every host that was told anything serves what it served before, and nothing else."""
        rollout = self._last()
        if rollout.stage in {Stage.ABORTED, Stage.FINISHING, Stage.FINISHED}:
            raise RolloutRefused(
                f"The last rollout is {rollout.stage}: there is nothing to go back to. Roll the file of before out."
            )
        if rollout.stage is not Stage.ABORTING:
            rollout = self.journal.enter(rollout, Stage.ABORTING)
        failures = []
        for name in [each for each in reversed(rollout.begun.hosts) if each in rollout.hosts]:
            if rollout.is_done(name):
                continue
            try:
                before = {name: served_before(rollout.begun.before[name])}
                rollout, _ = self._carry_out(rollout, [name], before, keeps_others=False)
            except RolloutError as error:
                failures.append(str(error))
        if failures:
            raise RolloutError(
                f"{' '.join(failures)} The others are back: torchbridge rollout abort tries these again."
            )
        return self.journal.enter(rollout, Stage.ABORTED)

    def finish(self) -> Rollout:
        """What the file does not name is taken away, host by host: after it there is no way back."""
        rollout = self._last()
        if rollout.stage not in {Stage.DONE, Stage.FINISHING}:
            raise RolloutRefused(f"The last rollout is not done: it is {rollout.stage}.")
        if rollout.stage is Stage.DONE:
            rollout = self.journal.enter(rollout, Stage.FINISHING)
        for name in rollout.begun.hosts:
            if not rollout.is_done(name):
                wanted = {name: with_digests(rollout.begun.desired, [self._ask(name)])}
                rollout, _ = self._carry_out(rollout, [name], wanted, keeps_others=False)
        return self.journal.enter(rollout, Stage.FINISHED)

    def _begin_or_go_on(self, names: tuple[str, ...], desired: DesiredState) -> Rollout:
        last = self.journal.last()
        is_same = last is not None and (last.begun.hosts, last.begun.desired) == (names, desired)
        if last is not None and last.is_open:
            if last.stage is Stage.ROLLING_OUT and is_same:
                self.report("going on with what was interrupted")
                return last
            raise RolloutRefused(
                f"Another rollout is not at its end ({last.stage}, to {', '.join(last.begun.hosts)}): torchbridge "
                "rollout status shows it, rollout abort goes back."
            )
        before = {name: self._ask(name) for name in names}
        if last is not None and last.stage is Stage.DONE and is_same and _is_served(desired, before.values()):
            return last  # and keeps its way back
        for name, found in before.items():
            if found.order is not None and found.order.state == "working":
                raise RolloutRefused(f"{name} is still carrying out another order: {found.order.step}.")
        check_agreement(desired, before)
        return self.journal.begin(uuid.uuid4().hex[:12], Begun(hosts=names, desired=desired, before=before))

    def _carry_out(
        self, rollout: Rollout, names: Sequence[str], desired: dict[str, DesiredState], *, keeps_others: bool
    ) -> tuple[Rollout, dict[str, HostReport]]:
        """Has all of them change at once. If one fails it raises that after the others have ended."""
        order_id = f"{rollout.id}-{rollout.stage.replace(' ', '-')}"
        orders = {name: order_of(order_id, desired[name], keeps_others=keeps_others) for name in names}
        for name in names:
            rollout = self.journal.step(rollout, name, Step.ORDERED)
        found: dict[str, HostReport] = {}
        failures = []
        for work in (self._send, self._wait):
            for name in [each for each in names if rollout.hosts[each].step is not Step.FAILED]:
                try:
                    found |= work(name, orders[name], desired[name])
                except RolloutError as error:
                    failures.append(str(error))
                    rollout = self.journal.step(rollout, name, Step.FAILED, str(error))
        for name in found:
            rollout = self.journal.step(rollout, name, Step.DONE)
        if failures:
            raise RolloutError(" ".join(failures))
        return rollout, found

    def _send(self, name: str, order: RolloutOrder, _: DesiredState) -> dict[str, HostReport]:
        self.sender.send(self.host(name), order)
        return {}

    def _wait(self, name: str, order: RolloutOrder, desired: DesiredState) -> dict[str, HostReport]:
        report = self.sender.wait_until_served(self.host(name), order, desired)
        self.report(f"{name} is done")
        return {name: report}

    def _ask(self, name: str) -> HostReport:
        try:
            return self.host(name).report()
        except HostAway as error:
            raise RolloutRefused(f"{error} Nothing was changed.") from error

    def _last(self) -> Rollout:
        if (last := self.journal.last()) is None:
            raise RolloutRefused("There was no rollout from here: --journal names the file that it has written.")
        return last


def _is_served(desired: DesiredState, reports: Iterable[HostReport]) -> bool:
    with suppress(RolloutError):
        for report in reports:
            check_served(report, desired)
        return True
    return False
