"""Pulls an archive from a registry: only a file with the right digest ever gets the archive's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapter.archives.archive_reader import ArchiveError, read_record
from adapter.archives.progress import Reporter, no_progress
from adapter.archives.signature_kinds import SignatureKind
from adapter.archives.trusted_signer import TrustedSigner, load_trusted_signer
from adapter.artifacts.download import download
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import MANIFEST_TYPE, Descriptor, digest_of, file_digest
from adapter.artifacts.model_manifest import read_model_config, read_model_manifest
from adapter.artifacts.partial_file import PartialFile
from adapter.artifacts.pulled_signatures import put_signatures
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from adapter.artifacts.signatures import find_signatures
from adapter.durable.disk_space import DiskFull, expect_space, full_disk_in_words


@dataclass(frozen=True, slots=True)
class RemoteArchive:
    """The archive that a reference stands for, fixed by digests.

    reference: with its digest.
    layer: the archive itself.
    signer: who must have signed it, if anybody.
    signatures: to be put beside it.
    """

    reference: ArtifactReference
    file_name: str
    layer: Descriptor
    signer: TrustedSigner | None
    signatures: Mapping[SignatureKind, bytes]


def resolve(repository: Repository, key: Path | None = None) -> RemoteArchive:
    """Reads nothing large. Raises ArtifactError, with a `key` also if no signature is made with it.

    Raises SigningKeyError if the file `key` holds no key.
    """
    signer = load_trusted_signer(key) if key else None
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
        signer=signer,
        signatures=find_signatures(repository, subject, layer.sha256, signer),
    )


def pull(repository: Repository, remote: RemoteArchive, directory: Path, progress: Reporter = no_progress) -> Path:
    """Returns the archive in `directory`, with its signatures beside it. One that is there already is not read again.

    A broken connection or a signal leaves a hidden file, from which the next call goes on. Raises ArtifactError, also
    where another file has the archive's name, or OSError: DiskFull where there is no space, and nothing is left then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / remote.file_name
    partial = directory / f".{remote.file_name}.{remote.layer.sha256[:12]}.partial"
    if not target.exists():
        _download(repository, remote, partial, progress)
    if target.exists():  # also where another one has come while this one did
        if file_digest(target) != remote.layer.digest:
            raise ArtifactError(f"{target} is there already, and is not {remote.reference}: choose another --output.")
        partial = target
    put_signatures(remote.signatures, target, remote.layer.sha256, remote.signer)
    return partial.replace(target)


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
