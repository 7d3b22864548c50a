"""What a server serves right now, as TorchServe, the gateway and our own record of it say."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from adapter.compilation import Compilation, CompilationState
from adapter.control.messages import CanaryReport, PairsReport, TrafficReport, VersionTraffic
from adapter.versions.journal import Unfinished
from adapter.versions.observed_server import ObservedServer
from adapter.versions.server_state import ModelState

_SHOWN_DIGITS = 12
_NOW = "now"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class OpenChange(BaseModel):
    """A change without an end. `ending`: what becomes of it by `torchbridge recover`, or by the next change."""

    model_config = ConfigDict(defer_build=True)

    kind: str = Field(description="The command.")
    step: str | None = Field(description="The step that it was about to take, or is; null at its begin.")
    since: datetime = Field(description="The time of that step.")
    is_under_way: bool = Field(description="Whether a command is at it; otherwise it was interrupted.")
    ending: str | None = Field(description="What becomes of it, in words; null while a command is at it.")


class VersionStatus(BaseModel):
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version of the model.")
    is_default: bool = Field(description="Whether it answers requests that name no version.")
    is_default_model: bool = Field(description="Whether its model answers requests that name no model.")
    is_previous: bool = Field(description="Whether it was the default before, and is kept for a rollback.")
    is_draining: bool = Field(description="Whether it only ends what runs on it.")
    canary_percent: float | None = Field(
        description="The share of requests that it gets as a canary, in percent; null if it is none."
    )
    canary_first_token: PairsReport | None = Field(
        description="The comparison of its times to the first token, as a canary; null if there is none."
    )
    canary_per_token: PairsReport | None = Field(
        description="The comparison of its times per token, as a canary; null if there is none."
    )
    workers: int = Field(description="The number of workers that it is to have.")
    ready_workers: int = Field(description="The number of workers that are ready.")
    live_requests: int = Field(description="The number of requests that wait, run or are read from the cache.")
    waiting_requests: int = Field(description="The number of requests that wait for a slot, or are held back.")
    queued_in_torchserve: int = Field(
        description="The number of requests that TorchServe has not given to the worker yet."
    )
    archive: str | None = Field(description="The name of its file in the store; null if torchbridge did not deploy it.")
    digest: str | None = Field(description="The `model_digest` of its answers; null if torchbridge did not deploy it.")
    deployed_at: datetime | None = Field(
        description="The time of its deployment; null if torchbridge did not deploy it."
    )
    compilation: Compilation | None = Field(
        default=None, description="How far its compiled steps are; null if its worker does not say it."
    )
    open_change: OpenChange | None = Field(
        default=None, description="The change of it that has no end yet; null if there is none."
    )


def server_status(server: ObservedServer) -> list[VersionStatus]:
    """Includes a version that TorchServe does not have, if it is recorded or a change of it is open."""
    report: TrafficReport = server.gateway.traffic()
    state = server.state
    default_model = report.default_model or (report.models[0].name if len(report.models) == 1 else None)
    statuses = [
        _status(
            model.name,
            model.canary,
            version,
            default_model,
            state.models.get(model.name),
            compilation=Compilation.read(server.files.compilations, model.name, version.version),
        )
        for model in report.models
        for version in model.versions
    ]
    seen = {(each.model, each.version) for each in statuses}
    statuses += [
        _not_served(model, version, known)
        for model, known in state.models.items()
        for version in known.versions
        if (model, version) not in seen
    ]
    unfinished = server.journal.unfinished()
    return statuses if unfinished is None else _with_open_change(statuses, server, unfinished)


def _with_open_change(
    statuses: list[VersionStatus], server: ObservedServer, unfinished: Unfinished
) -> list[VersionStatus]:
    operation = unfinished.operation
    names = [(each.model, each.version) for each in statuses]
    if (operation.model, operation.version) not in names:
        statuses = [*statuses, _not_served(operation.model, operation.version)]
    change = _open_change(server, unfinished)
    return [
        each.model_copy(update={"open_change": change})
        if (each.model, each.version) == (operation.model, operation.version)
        else each
        for each in statuses
    ]


def _open_change(server: ObservedServer, unfinished: Unfinished) -> OpenChange:
    is_under_way = server.files.is_held()
    operation = unfinished.operation
    return OpenChange(
        kind=operation.kind,
        step=unfinished.step,
        since=unfinished.since,
        is_under_way=is_under_way,
        ending=None if is_under_way else _ending(server, unfinished),
    )


def _ending(server: ObservedServer, unfinished: Unfinished) -> str:
    from adapter.versions.running_server import RunningServer  # noqa: PLC0415 - few changes are interrupted
    from adapter.versions.settling import in_words, look  # noqa: PLC0415

    return in_words(unfinished.operation, look(RunningServer.of(server), unfinished)[1])


def _not_served(model: str, version: str, state: ModelState | None = None) -> VersionStatus:
    """A version that TorchServe does not have. state: the record of its model, where it is in it."""
    traffic = VersionTraffic(
        version=version,
        is_default=False,
        workers=state.versions[version].workers if state else 0,
        ready_workers=0,
        live_requests=0,
        oldest_live_seconds=None,
        waiting_requests=0,
        running_requests=0,
        held_requests=0,
    )
    return _status(model, None, traffic, None, state, compilation=None)


def _status(
    model: str,
    canary: CanaryReport | None,
    traffic: VersionTraffic,
    default_model: str | None,
    state: ModelState | None,
    *,
    compilation: Compilation | None,
) -> VersionStatus:
    deployed = state.versions.get(traffic.version) if state else None
    canary = canary if canary and canary.version == traffic.version else None
    is_previous = state is not None and traffic.version in state.previous
    return VersionStatus(
        model=model,
        version=traffic.version,
        is_default=traffic.is_default,
        is_default_model=model == default_model,
        is_previous=is_previous,
        is_draining=traffic.held_requests > 0 or (is_previous and traffic.live_requests > 0),
        canary_percent=canary.percent if canary else None,
        canary_first_token=canary.first_token if canary else None,
        canary_per_token=canary.per_token if canary else None,
        workers=traffic.ready_workers if traffic.workers is None else traffic.workers,
        ready_workers=traffic.ready_workers,
        live_requests=traffic.live_requests,
        waiting_requests=traffic.waiting_requests + traffic.held_requests,
        queued_in_torchserve=traffic.queued_in_torchserve,
        archive=deployed.archive if deployed else None,
        digest=deployed.digest if deployed else None,
        deployed_at=deployed.deployed_at if deployed else None,
        # The last word of a worker that is not there any more, or not yet, is not true.
        compilation=compilation if traffic.ready_workers else None,
    )


def as_rows(statuses: list[VersionStatus]) -> list[tuple[str, ...]]:
    """A row for each, after one with the names of the columns."""
    now = datetime.now(UTC)
    rows = [
        (
            each.model,
            each.version,
            _role(each),
            f"{each.ready_workers} of {each.workers} ready",
            str(each.live_requests),
            str(each.waiting_requests + each.queued_in_torchserve),
            _age((now - each.deployed_at).total_seconds()) if each.deployed_at else "",
            each.compilation.state if each.compilation else "",
            (each.digest or "")[:_SHOWN_DIGITS],
        )
        for each in statuses
    ]
    return [("model", "version", "role", "workers", "running", "waiting", "age", "steps", "digest"), *rows]


def compilations_in_words(statuses: list[VersionStatus]) -> Iterator[str]:
    """A line for each version whose steps are not compiled, or not yet."""
    for each in statuses:
        compilation = each.compilation
        if compilation is None or compilation.state is CompilationState.COMPILED:
            continue
        if compilation.is_settled:
            yield f"The steps of {each.model} {each.version} are not compiled: {compilation.reason}."
        else:
            age = _age((datetime.now(UTC) - compilation.since).total_seconds())
            since = "" if age == _NOW else f" since {age}"
            yield f"{each.model} {each.version} is {compilation.state}{since}: until then it answers less fast."


def default_model_in_words(statuses: list[VersionStatus]) -> str | None:
    """None if there are no other models."""
    if not statuses:
        return "Nothing is deployed: torchbridge deploy FILE.mar."
    name = next((each.model for each in statuses if each.is_default_model), None)
    if name is None:
        return "Requests that name no model are refused: torchbridge default-model NAME says which one they mean."
    has_others = any(each.model != name for each in statuses)
    return f"Requests that name no model mean {name}." if has_others else None


def _role(status: VersionStatus) -> str:
    role = "default" if status.is_default else "previous" if status.is_previous else "deployed"
    if status.canary_percent is not None:
        role = f"canary, {status.canary_percent:g} %{_slowness(status)}"
    change = status.open_change
    if change is not None:
        role += ", changing" if change.is_under_way else ", interrupted"
    return f"{role}, draining" if status.is_draining else role


def open_changes_in_words(statuses: list[VersionStatus]) -> Iterator[str]:
    """A line for each: what was begun, where it stands, and what becomes of it."""
    for each in statuses:
        change = each.open_change
        if change is None:
            continue
        age = _age((datetime.now(UTC) - change.since).total_seconds())
        where = f"at {change.step or 'its begin'}, {age if age == _NOW else f'{age} ago'}"
        what = f"the {change.kind} of {each.model} {each.version}"
        if change.is_under_way:
            yield f"{what} is under way: {where}"
        else:
            yield (
                f"{what} was interrupted {where}. After `torchbridge recover`, and before any other change, "
                f"{change.ending}."
            )


def _slowness(status: VersionStatus) -> str:
    times = (("first token", status.canary_first_token), ("tokens", status.canary_per_token))
    slower = [f"{what} {pairs.slower} of {pairs.num_pairs}" for what, pairs in times if pairs and pairs.num_pairs]
    return f", too slow: {', '.join(slower)}" if slower else ""


def _age(seconds: float) -> str:
    return next((f"{int(seconds // size)} {unit}" for size, unit in _UNITS if seconds >= size), _NOW)
