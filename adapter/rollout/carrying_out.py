"""Orders to hosts, and the wait until each is carried out there and shown to be."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from adapter.control.rollout_messages import HostReport, OrderReport, RolloutOrder
from adapter.rollout.agreement import check_served
from adapter.rollout.errors import RolloutError
from adapter.rollout.host import Host, HostAway
from adapter.versions.desired_state import DesiredState

_SECONDS_BETWEEN_LOOKS = 0.5
PATIENCE = 120.0  # seconds, for a host that does not answer, and for one that is not ready


@dataclass(frozen=True)
class OrderSender:
    """`timeout`: seconds for a host to carry out an order, however long it was busy before."""

    report: Callable[[str], None]
    timeout: float

    def send(self, host: Host, order: RolloutOrder) -> None:
        """Waits until the host is free. One that is at this very order, of a killed command, is not sent it again.

        Raises RolloutError.
        """
        found = self._wait(host, lambda report: _is_free(report.order) or _is_about(report.order, order))
        if _is_free(found.order):
            self._tell(host, order)

    def wait_until_served(self, host: Host, order: RolloutOrder, desired: DesiredState) -> HostReport:
        """Sends the order again to a host that has restarted. Raises RolloutError."""
        said = ""

        def has_ended(report: HostReport) -> bool:
            nonlocal said
            if report.order is None or report.order.id != order.id:
                self._tell(host, order)
                return False
            if report.order.state == "working" and report.order.step != said:
                said = report.order.step
                self.report(f"  {host.name}: {said}")
            return report.order.state != "working"

        found = self._wait(host, has_ended)
        if found.order is not None and found.order.state == "failed":
            raise RolloutError(f"{host.name}: {found.order.reason}")
        self._wait_until_ready(host)
        try:
            check_served(found, desired)
        except RolloutError as error:
            raise RolloutError(f"{host.name}: {error}") from error
        return found

    def _tell(self, host: Host, order: RolloutOrder) -> None:
        def is_told(_: HostReport) -> bool:
            host.order(order)
            return True

        self._wait(host, is_told)

    def _wait(self, host: Host, is_over: Callable[[HostReport], bool]) -> HostReport:
        deadline = time.monotonic() + self.timeout
        last_seen = time.monotonic()
        while True:
            try:
                report = host.report()
                last_seen = time.monotonic()
                if is_over(report):
                    return report
            except HostAway as error:
                if time.monotonic() - last_seen >= PATIENCE:
                    raise RolloutError(str(error)) from error
            if time.monotonic() >= deadline:
                raise RolloutError(f"{host.name} has not done it within {self.timeout:g} seconds.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _wait_until_ready(self, host: Host) -> None:
        deadline = time.monotonic() + PATIENCE
        while not host.is_ready():
            if time.monotonic() >= deadline:
                raise RolloutError(f"{host.name} is not ready: its /readyz says so.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _is_free(order: OrderReport | None) -> bool:
    return order is None or order.state != "working"


def _is_about(found: OrderReport | None, order: RolloutOrder) -> bool:
    return found is not None and found.id == order.id
