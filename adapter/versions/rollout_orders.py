"""Takes the orders of `torchbridge rollout` for this host, and reports how far they are."""

import threading
from pathlib import Path

from pydantic import ValidationError

from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.reference import ArtifactReference, is_reference
from adapter.control.client import GatewayNotRunning
from adapter.control.rollout_messages import HostReport, OrderReport, RolloutOrder, ServedModel, ServedVersion
from adapter.errors import Conflict, InvalidRequest, UpstreamUnavailable
from adapter.versions.desired_state import DesiredState
from adapter.versions.errors import ServerBusy, VersionError
from adapter.versions.reconcile_loop import Converge, FindServer, reason_of
from adapter.versions.running_server import RunningServer


class RolloutOrders:
    """One order at a time. `file`: what the server follows, if it does; then it takes no orders."""

    def __init__(self, find_server: FindServer, file: Path | None = None) -> None:
        self._find_server = find_server
        self._file = file
        self._order: RolloutOrder | None = None
        self._report: OrderReport | None = None
        self._lock = threading.Lock()

    def report(self) -> HostReport:
        """Raises UpstreamUnavailable, or what TorchServe says."""
        try:
            return host_report(self._find_server(), self._report)
        except (VersionError, GatewayNotRunning) as error:
            raise UpstreamUnavailable("The server cannot say what it serves.", cause=str(error)) from error

    def take(self, order: RolloutOrder) -> HostReport:
        """Raises Conflict, InvalidRequest, or as report."""
        if self._file is not None:
            raise Conflict(f"This host follows {self._file}: change that file.")
        desired_by(order)
        with self._lock:
            if self._is_working() and order != self._order:
                raise Conflict("This host is still carrying out another order.")
            if not self._is_working():
                self._order = order
                self._report = OrderReport(id=order.id, state="working", step="waiting for its turn", reason=None)
        return self.report()

    def look(self, converge: Converge) -> None:
        if not self._is_working() or self._order is None:
            return
        order = self._order
        try:
            converge(desired_by(order), f"rollout {order.id}", self._note, keeps_others=order.keeps_others)
        except ServerBusy as error:
            self._note(str(error))  # it is tried again at the next look
        except Exception as error:  # noqa: BLE001 - whatever it is, who ordered it is told, and the server goes on
            self._change(state="failed", reason=reason_of(error))
        else:
            self._change(state="done")

    def _is_working(self) -> bool:
        return self._report is not None and self._report.state == "working"

    def _note(self, step: str) -> None:
        self._change(step=step)

    def _change(self, **changed: str) -> None:
        if self._report is not None:
            self._report = self._report.model_copy(update=changed)


def desired_by(order: RolloutOrder) -> DesiredState:
    """The state that an order asks for. Raises InvalidRequest if it makes no sense, or may mean another elsewhere."""
    try:
        desired = DesiredState.model_validate(order.model_dump(include={"models", "default_model"}))
        for model in desired.models.values():
            for version in model.versions.values():
                check_archive(version.archive)
    except ValidationError as error:
        raise InvalidRequest("; ".join(each["msg"] for each in error.errors())) from error
    except ArtifactError as error:
        raise InvalidRequest(str(error)) from error
    return desired


def check_archive(archive: str) -> None:
    """Raises InvalidRequest, or ArtifactError, if it may be another archive on another host, or at another time."""
    if is_reference(archive):
        if ArtifactReference.parse(archive).digest is None:
            raise InvalidRequest(f"{archive} is a tag, which may come to mean something else: name it by @sha256:….")
    elif not Path(archive).is_absolute():
        raise InvalidRequest(f"{archive} is not an absolute path.")


def host_report(server: RunningServer, order: OrderReport | None) -> HostReport:
    traffic, state = server.gateway.traffic(), server.state
    models = {
        name: ServedModel(
            default=traffic.default_version(name) or model.default,
            versions={
                version: ServedVersion(
                    archive=str(server.store.path(each.archive)),
                    digest=each.digest,
                    workers=each.workers,
                    ready_workers=seen.ready_workers if (seen := traffic.of(name, version)) else 0,
                )
                for version, each in model.versions.items()
            },
        )
        for name, model in state.models.items()
    }
    return HostReport(models=models, default_model=traffic.default_model, order=order)
