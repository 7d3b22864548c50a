"""What has to be done to bring a server to a desired state, in an order in which the default always answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from adapter.versions.changes import Report
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.desired_state import DesiredModel, DesiredState, desired_record
from adapter.versions.errors import ChangeRefused
from adapter.versions.lifecycle import make_default_model, promote, retire, scale
from adapter.versions.running_server import RunningServer
from adapter.versions.server_state import ModelState, ServerState


@dataclass(frozen=True)
class Action:
    """A change that one command could make."""

    description: str
    carry_out: Callable[[RunningServer, DeploymentOptions, Report], None]


def plan(state: ServerState, desired: DesiredState, *, keeps_others: bool = False) -> list[Action]:
    """With `keeps_others` nothing is retired, and only a default model that is named is made it.

    Raises ChangeRefused where a version is deployed with another content than is desired.
    """
    actions: list[Action] = []
    for name, model in desired.models.items():
        current = state.models.get(name)
        actions += _plan_model(name, current, model)
        if current is not None and not keeps_others:
            actions += [_retire(name, version) for version in sorted(current.versions.keys() - model.versions.keys())]
    if keeps_others:
        is_another = desired.default_model not in {None, state.default_model}
        return [*actions, *([_make_default_model(desired.meant_model())] if is_another else [])]
    meant = desired.meant_model(state.default_model)
    if meant != (state.default_model or next(iter(desired.models))):  # an empty server takes the first for it
        actions.append(_make_default_model(meant))
    for name in sorted(state.models.keys() - desired.models.keys()):
        actions += _plan_removal(name, state.models[name])
    return actions


def _plan_model(name: str, current: ModelState | None, desired: DesiredModel) -> Iterator[Action]:
    deployed = current.versions if current else {}
    after_promotion: list[Action] = []
    for version, each in desired.default_first():
        record = desired_record(name, version, each)
        if version not in deployed:
            yield _deploy(name, version, Path(each.archive))
        elif deployed[version].digest != record.digest:
            raise ChangeRefused(f"{name} {version} is deployed with another content than {each.archive} has.")
        if each.workers != (deployed[version].workers if version in deployed else 1):
            scaling = _scale(name, version, each.workers)
            if current is not None and version == current.default:
                after_promotion.append(scaling)  # it answers until then, and so is not unloaded
            else:
                yield scaling
    if current is not None and current.default != desired.default:
        yield _promote(name, desired.default)
    yield from after_promotion


def _plan_removal(name: str, current: ModelState) -> Iterator[Action]:
    for version in sorted(current.versions, key=lambda each: each == current.default):
        yield _retire(name, version)


def _deploy(name: str, version: str, archive: Path) -> Action:
    def carry_out(server: RunningServer, options: DeploymentOptions, report: Report) -> None:
        deploy(server, archive, replace(options, promotes=False), report)

    return Action(f"deploy {name} {version} from {archive}", carry_out)


def _promote(name: str, version: str) -> Action:
    return Action(f"promote {name} {version}", lambda server, _options, _report: promote(server, name, version))


def _make_default_model(name: str) -> Action:
    return Action(f"default-model {name}", lambda server, _options, _report: make_default_model(server, name))


def _scale(name: str, version: str, workers: int) -> Action:
    def carry_out(server: RunningServer, options: DeploymentOptions, report: Report) -> None:
        scale(server, name, version, workers, timeout=options.load_timeout, report=report)

    return Action(f"scale {name} {version} to {workers} workers", carry_out)


def _retire(name: str, version: str) -> Action:
    def carry_out(server: RunningServer, options: DeploymentOptions, _report: Report) -> None:
        retire(server, name, version, options.drain_timeout, force=True)  # the file does not name it

    return Action(f"retire {name} {version}", carry_out)
