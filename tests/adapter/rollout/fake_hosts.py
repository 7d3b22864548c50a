"""Hosts in memory: the orders and the loop of a real server, over one whose TorchServe is a dictionary."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from adapter.control.rollout_messages import HostReport, RolloutOrder
from adapter.errors import TorchbridgeError
from adapter.rollout.errors import RolloutError
from adapter.rollout.host import HostAway
from adapter.versions.reconcile_loop import ReconcileLoop
from adapter.versions.rollout_orders import RolloutOrders
from tests.adapter.versions.fake_server import Clock, FakeServer


@dataclass
class HostClock(Clock):
    """While a rollout waits, the hosts work."""

    keepers: list[Callable[[], None]] = field(default_factory=list)
    _is_looking: bool = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._is_looking or not seconds:
            return
        self._is_looking = True
        for look in self.keepers:
            look()
        self._is_looking = False


class FakeHost:
    """As Host."""

    def __init__(self, name: str, directory: Path, clock: HostClock) -> None:
        self.name = name
        self.server = FakeServer(directory / name, clock)
        self.is_away = False
        self.is_unready = False
        self.orders: list[RolloutOrder] = []
        clock.keepers.append(self._look)
        self.restart()

    def restart(self) -> None:
        """What it was told is forgotten; what it serves is not."""
        self.rollout_orders = RolloutOrders(lambda: self.server)
        self._loop = ReconcileLoop(lambda: self.server, self.rollout_orders)

    def report(self) -> HostReport:
        if self.is_away:
            raise HostAway(f"{self.name} does not answer.")
        return self.rollout_orders.report()

    def order(self, order: RolloutOrder) -> HostReport:
        if self.is_away:
            raise HostAway(f"{self.name} does not answer.")
        self.orders.append(order)
        try:
            return self.rollout_orders.take(order)
        except TorchbridgeError as error:
            raise RolloutError(f"{self.name}: {error.detail}") from error

    def is_ready(self) -> bool:
        return not self.is_unready

    def served(self) -> tuple[str, list[str]]:
        """The default version, and all of them."""
        assert self.server.recorded() == self.server.registered()
        assert self.server.state.models["tiny"].default == self.server.management.defaults["tiny"]
        return self.server.management.defaults["tiny"], self.server.registered()

    def _look(self) -> None:
        if not self.is_away:
            self._loop.look()
