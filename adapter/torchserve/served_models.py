"""What TorchServe serves, as it describes it: models, their versions, and the workers that run each of them."""

from pathlib import Path
from typing import NamedTuple

from adapter.archives.served_archive import ServedArchive, read_served_archive
from adapter.errors import ModelNotFound
from adapter.schema import Model, ModelVersion
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.version_order import version_order


class PinnedVersion(NamedTuple):
    """One version of one model, and the workers that run it right now."""

    model: str
    version: str
    slots: int  # requests that its workers generate at once
    workers: frozenset[tuple[int, str]]  # process id and start: others may run another archive of the same version
    archive: ServedArchive = ServedArchive()


class ServedModel(NamedTuple):
    model: Model
    pinned: dict[str, PinnedVersion]  # by version
    restarting: frozenset[str]  # versions that have workers, of which none is ready
    described: dict[str, ModelDescription]  # by version, as TorchServe does it

    @property
    def ready(self) -> tuple[PinnedVersion, ...]:
        return tuple(version for version in self.pinned.values() if version.workers)


Models = dict[str, ServedModel]


def served_models(management: ManagementClient, model_store: Path | None) -> Models:
    """The models that TorchServe serves. Without `model_store` their archives count as this installation's."""
    models = {}
    for name in management.model_names():
        try:
            models[name] = _describe(management, model_store, name)
        except ModelNotFound:
            continue  # unregistered since it was listed
    return models


def _describe(management: ManagementClient, model_store: Path | None, name: str) -> ServedModel:
    default = management.default_version(name)
    described = {each.model_version: each for each in management.describe(name)}
    pinned = {version: _pin(description, model_store) for version, description in described.items()}
    restarting = frozenset(
        version for version, each in described.items() if each.workers and not pinned[version].workers
    )
    versions = tuple(
        ModelVersion(
            version=version,
            is_default=version == default,
            ready_workers=len(each.workers),
            sampling_defaults=each.archive.sampling_defaults,
        )
        for version, each in sorted(pinned.items(), key=lambda item: version_order(item[0]))
    )
    return ServedModel(Model(name=name, default_version=default, versions=versions), pinned, restarting, described)


def _pin(description: ModelDescription, model_store: Path | None) -> PinnedVersion:
    ready = frozenset((worker.pid, worker.start_time) for worker in description.workers if worker.is_ready)
    slots = description.batch_size * max(1, len(ready))
    archive = read_served_archive(model_store / description.model_url) if model_store else None
    return PinnedVersion(description.model_name, description.model_version, slots, ready, archive or ServedArchive())
