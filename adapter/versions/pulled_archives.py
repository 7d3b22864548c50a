"""Archives that are named by their place in a registry, as files for as long as it takes to put them into the store."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.archives.progress import Reporter, progress_bar
from adapter.archives.signature import SignatureError
from adapter.archives.trusted_signer import load_trusted_signer
from adapter.artifacts.manifest import file_digest
from adapter.artifacts.pull import RemoteArchive, pull, resolve
from adapter.artifacts.reference import ArtifactReference, is_reference
from adapter.artifacts.registry import Repository
from adapter.versions.changes import Report
from adapter.versions.server_files import ServerFiles


@contextmanager
def local_archive(
    source: str, files: ServerFiles, key: Path | None, report: Report, progress: Reporter = progress_bar
) -> Iterator[Path]:
    """The file that `source` names; for one in a registry the store's own copy, or one that goes with the block.

    What a broken connection leaves stays for the next call. Raises ArtifactError, with a `key` also where it is not
    signed with it, SigningKeyError or OSError.
    """
    if not is_reference(source):
        yield Path(source)
        return
    remote, archive = _archive(ArtifactReference.parse(source), files, key, report, progress)
    try:
        yield archive
    finally:
        shutil.rmtree(_directory(files, remote), ignore_errors=True)


def _archive(
    reference: ArtifactReference, files: ServerFiles, key: Path | None, report: Report, progress: Reporter
) -> tuple[RemoteArchive, Path]:
    with Repository(reference) as repository:
        remote = resolve(repository, key)
        stored = files.store / remote.file_name
        if _is(stored, remote, key):
            report(f"{remote.reference} is in the store already")
            return remote, stored
        report(f"pulling {remote.reference}")
        return remote, pull(repository, remote, _directory(files, remote), progress)


def _directory(files: ServerFiles, remote: RemoteArchive) -> Path:
    return files.pulled / remote.layer.sha256


def _is(stored: Path, remote: RemoteArchive, key: Path | None) -> bool:
    """Whether the file is that archive; with a key also whether the signature beside it is made with it."""
    if not stored.exists() or file_digest(stored) != remote.layer.digest:
        return False
    if key is None:
        return True
    try:
        signer = load_trusted_signer(key)
        signer.check(signer.kind.read(stored), remote.layer.sha256)
    except SignatureError:
        return False
    return True
