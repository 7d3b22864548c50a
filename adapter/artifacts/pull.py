"""Has an archive from a registry: nothing that is not what its digest says ever lies under the archive's name."""

from dataclasses import dataclass
from pathlib import Path

from adapter.archives.archive_reader import ArchiveError, read_record
from adapter.archives.progress import Reporter, no_progress
from adapter.archives.record import signature_path
from adapter.artifacts.download import download
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import MANIFEST_TYPE, Descriptor, digest_of, file_digest
from adapter.artifacts.model_manifest import read_model_config, read_model_manifest
from adapter.artifacts.partial_file import PartialFile
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from adapter.artifacts.signatures import find_signature
from adapter.disk_space import DiskFull, expect_space, full_disk_in_words


@dataclass(frozen=True, slots=True)
class RemoteArchive:
    """What a reference means, once and for all.

    reference: by its digest.
    layer: the archive itself.
    signature: the bundle that is to lie beside it, if it is signed.
    """

    reference: ArtifactReference
    file_name: str
    layer: Descriptor
    signature: bytes | None


def resolve(repository: Repository, key: Path | None = None) -> RemoteArchive:
    """Nothing large is read. Raises ArtifactError, with a `key` also where no signature is made with it."""
    reference = repository.reference
    content = repository.read_manifest(reference.name)
    manifest = read_model_manifest(content, str(reference))
    (layer,) = manifest.layers
    config = read_model_config(repository.read_blob(manifest.config), layer, str(reference))
    subject = Descriptor.of(content, MANIFEST_TYPE)
    return RemoteArchive(
        reference=reference.pinned(digest_of(content)),
        file_name=config.file_name,
        layer=layer,
        signature=find_signature(repository, subject, layer.sha256, key),
    )


def pull(repository: Repository, remote: RemoteArchive, directory: Path, progress: Reporter = no_progress) -> Path:
    """The archive in `directory`, its signature beside it. One that lies there already is left, and not read again.

    What a broken connection or a signal leaves, a hidden file, the next call goes on with. Raises ArtifactError, also
    where another file has the archive's name, or OSError: DiskFull where there is no space, and nothing is left then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / remote.file_name
    if not target.exists():
        partial = directory / f".{remote.file_name}.{remote.layer.sha256[:12]}.partial"
        _download(repository, remote, partial, progress)
        signature_path(target).unlink(missing_ok=True)  # of another content
        _put_signature(remote, target)
        partial.replace(target)
    elif file_digest(target) == remote.layer.digest:
        _put_signature(remote, target)
    else:
        raise ArtifactError(f"{target} is there already, and is not {remote.reference}: choose another --output.")
    return target


def _download(repository: Repository, remote: RemoteArchive, partial: Path, progress: Reporter) -> None:
    try:
        with full_disk_in_words(remote.file_name, partial.parent), PartialFile.opened(partial) as file:
            expect_space(remote.file_name, (partial.parent, remote.layer.size - file.size))
            with progress("pulling", remote.layer.size) as advance:
                download(repository, remote.layer, file, advance)
        _expect_the_named_one(remote, partial)
    except (DiskFull, _AnotherArchive):
        partial.unlink(missing_ok=True)
        raise


def _expect_the_named_one(remote: RemoteArchive, archive: Path) -> None:
    try:
        record = read_record(archive)
    except ArchiveError as error:
        raise _AnotherArchive(f"{remote.reference} is not a model archive that torchbridge packed.") from error
    if record.file_name != remote.file_name:
        raise _AnotherArchive(f"{remote.reference} says that it is {remote.file_name}, and is {record.file_name}.")


class _AnotherArchive(ArtifactError): ...


def _put_signature(remote: RemoteArchive, archive: Path) -> None:
    if remote.signature is None:
        return
    path = signature_path(archive)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with full_disk_in_words(path.name, path.parent):
            partial.write_bytes(remote.signature)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
