"""Checks that hosts serve the same, so that no more than two versions of a model are ever served at a time."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from adapter.archives.archive_reader import ArchiveError, read_record
from adapter.control.rollout_messages import HostReport, OrderedModel, OrderedVersion, RolloutOrder
from adapter.rollout.errors import RolloutError, RolloutRefused
from adapter.versions.desired_state import DesiredModel, DesiredState, DesiredVersion


def check_agreement(desired: DesiredState, reports: Mapping[str, HostReport]) -> None:
    """Raises RolloutRefused where a host serves another version than the old or the new one, or another content."""
    for name, model in desired.models.items():
        defaults = {host: _default(report, name) for host, report in reports.items()}
        old = {default for default in defaults.values() if default is None or default[0] != model.default}
        if len(old) > 1:
            served = "; ".join(f"{host}: {_in_words(default)}" for host, default in defaults.items())
            raise RolloutRefused(
                f"The hosts do not serve the same version of {name}: {served}. Make them the same first."
            )
        for version, each in model.versions.items():
            _check_content(f"{name} {version}", each, name, version, reports)


def _check_content(
    what: str, desired: DesiredVersion, name: str, version: str, reports: Mapping[str, HostReport]
) -> None:
    digests = {host: digest for host, report in reports.items() if (digest := digest_of(report, name, version))}
    wanted = {desired.digest} if desired.digest else set()
    if len(wanted | set(digests.values())) > 1:
        served = "; ".join(f"{host}: {digest[:12]}" for host, digest in digests.items())
        raise RolloutRefused(f"There are several contents of {what}: {served}. One version has one content.")


def digest_of(report: HostReport, name: str, version: str) -> str | None:
    model = report.models.get(name)
    served = model.versions.get(version) if model else None
    return served.digest if served else None


def with_digests(desired: DesiredState, reports: Iterable[HostReport]) -> DesiredState:
    """Adds the digest of each version that a host has, or whose archive can be read here: no host gets another one."""
    known = list(reports)

    def found(name: str, version: str, each: DesiredVersion) -> str | None:
        served = next((digest for report in known if (digest := digest_of(report, name, version))), None)
        return each.digest or served or _digest_here(each.archive)

    models = {
        name: model.model_copy(
            update={
                "versions": {
                    version: each.model_copy(update={"digest": found(name, version, each)})
                    for version, each in model.versions.items()
                }
            }
        )
        for name, model in desired.models.items()
    }
    return desired.model_copy(update={"models": models})


def has_digests(desired: DesiredState) -> bool:
    return all(each.digest for model in desired.models.values() for each in model.versions.values())


def served_before(report: HostReport) -> DesiredState:
    """The state that a host served, from its own copies. Raises RolloutError if it served nothing."""
    if not report.models:
        raise RolloutError("nothing was served before: there is nothing to go back to.")
    return DesiredState(
        models={
            name: DesiredModel(
                default=model.default,
                versions={
                    version: DesiredVersion(archive=each.archive, workers=each.workers, digest=each.digest)
                    for version, each in model.versions.items()
                },
            )
            for name, model in report.models.items()
        },
        default_model=report.default_model if report.default_model in report.models else None,
    )


def order_of(order_id: str, desired: DesiredState, *, keeps_others: bool) -> RolloutOrder:
    return RolloutOrder(
        id=order_id,
        models={
            name: OrderedModel(
                default=model.default,
                versions={version: OrderedVersion(**each.model_dump()) for version, each in model.versions.items()},
            )
            for name, model in desired.models.items()
        },
        default_model=desired.default_model,
        keeps_others=keeps_others,
    )


def check_served(report: HostReport, desired: DesiredState) -> None:
    """Raises RolloutError unless the host serves it: each default with its content and a worker that is ready."""
    for name, model in desired.models.items():
        served = report.models.get(name)
        if served is None or served.default != model.default:
            raise RolloutError(
                f"it serves {name} {served.default if served else '(nothing)'}, and not {model.default}."
            )
        for version, each in model.versions.items():
            found = served.versions.get(version)
            if found is None or each.digest not in {None, found.digest}:
                raise RolloutError(f"it does not have {name} {version} with the content that the others have.")
            if found.ready_workers < each.workers:
                raise RolloutError(f"{name} {version} has no worker there that is ready.")


def _default(report: HostReport, name: str) -> tuple[str, str | None] | None:
    model = report.models.get(name)
    return (model.default, digest_of(report, name, model.default)) if model else None


def _in_words(default: tuple[str, str | None] | None) -> str:
    return "none" if default is None else f"{default[0]} ({(default[1] or '')[:12]})"


def _digest_here(archive: str) -> str | None:
    try:
        return read_record(Path(archive)).digest
    except (ArchiveError, OSError):
        return None  # it lies on the hosts alone, or in a registry
