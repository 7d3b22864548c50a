"""The file that was verified is the file that is loaded: the SHA-256 of each copy says whether it is that one."""

import hashlib
from pathlib import Path

from adapter.archives.record import ArchiveRecord
from adapter.archives.signature import SignatureError
from adapter.archives.signature_kinds import KINDS
from adapter.archives.trusted_signer import load_trusted_signer
from adapter.archives.verification import verify_archive
from adapter.durable.replacement import SHARED, write_durably
from adapter.versions.errors import VersionError
from adapter.versions.model_store import ModelStore
from adapter.versions.server_state import VersionState


def install_verified(
    store: ModelStore, source: Path, key: Path | None, *, workers: int = 1
) -> tuple[ArchiveRecord, VersionState]:
    """Verifies the archive, and puts a copy of it into the store, by the name that its record gives it.

    Raises VerificationError, SigningKeyError, VersionError or OSError; then the store is as it was.
    """
    verified = verify_archive(source, key, any_name=True)
    record = verified.record
    installed = store.path(record.file_name)
    if not installed.exists() or not installed.samefile(source):
        try:
            staged = store.stage(source, installed.name)
            expect_verified(staged, verified.sha256)
            store.install(staged)
        finally:
            store.clear_staging()
    version = VersionState(archive=installed.name, digest=record.digest, sha256=verified.sha256, workers=workers)
    return record, version


def add_signatures(store: ModelStore, source: Path, deployed: VersionState, key: Path | None) -> list[Path]:
    """Puts those beside `source` that are of the deployed file beside the store's own copy, and returns the new ones.

    A signature may come after its version. One that is not the key's is left out. Raises SigningKeyError or OSError.
    """
    signer = load_trusted_signer(key) if key else None
    added = []
    for kind in KINDS:
        stored = kind.path(store.path(deployed.archive))
        try:
            signature = kind.read(source)
            if signer and signer.kind == kind:
                signer.check(signature, deployed.sha256)
        except SignatureError:
            continue
        is_new = not stored.exists() or stored.read_bytes() != signature
        if is_new and kind.is_of(signature, deployed.sha256):
            write_durably(stored, signature, SHARED)
            added.append(stored)
    return added


def expect_verified(archive: Path, sha256: str) -> None:
    """Raises VersionError unless this is the very file that was verified."""
    try:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise VersionError(f"{archive} is missing: torchbridge serve --model starts with another model.") from None
    if found != sha256:
        raise VersionError(
            f"{archive} is not the file that was verified (SHA-256 {found[:12]}, and not {sha256[:12]}): it is not "
            "loaded. torchbridge serve --model FILE.mar puts a verified one in its place."
        )
