"""Both ways in one call each, as the commands have them."""

from pathlib import Path

from adapter.artifacts.pull import RemoteArchive, pull, resolve
from adapter.artifacts.push import push
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository


def push_to(reference: str, archive: Path) -> ArtifactReference:
    return push(archive, ArtifactReference.parse(reference))


def pull_from(reference: object, directory: Path, key: Path | None = None) -> Path:
    with Repository(ArtifactReference.parse(str(reference))) as repository:
        return pull(repository, resolve(repository, key), directory)


def resolved(reference: object) -> RemoteArchive:
    with Repository(ArtifactReference.parse(str(reference))) as repository:
        return resolve(repository)
