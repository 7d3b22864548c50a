"""Decides whether an archive may be served, without a network, a model server or a line of the archive's own code run.

With a key, or identities in its place, the signed code may be another version's. Without one nobody vouches for code,
so all of it must be this installation's; of the model it is then known only that the archive is whole.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapter.archives.bill_of_materials import bill_of_materials
from adapter.archives.content_rules import ContentError, check_contents, check_names, is_code, read_whole
from adapter.archives.packed_code import packed_code
from adapter.archives.record import BOM_ENTRY, MANIFEST_ENTRY, RECORD_ENTRY, ArchiveRecord, FileRecord
from adapter.archives.signature import SignatureError
from adapter.archives.strict_zip import StrictZipError, read_content, read_entries
from adapter.archives.torchserve_manifest import torchserve_manifest
from adapter.archives.trusted_signer import load_trusted_signer
from adapter.archives.zip_image import ZipEntry, central_directory, local_header

_WAYS_OUT = ": pack the model again, or sign the archive where it was packed (pack --sign) and give the key (--key)"


class VerificationError(ValueError):
    """The archive is refused, and the message names the file in it and the rule."""


@dataclass(frozen=True, slots=True)
class VerifiedArchive:
    record: ArchiveRecord
    sha256: str
    is_signed: bool


def verify_archive(archive: Path, key: Path | None = None, *, any_name: bool = False) -> VerifiedArchive:
    """Raises VerificationError, SigningKeyError or OSError. Reads the archive once, a block at a time.

    `key`: a file of who has to have signed it (trusted_signer.py).
    `any_name`: the file may have another name than its record says, since only a copy with that name is served.
    """
    signer = load_trusted_signer(key) if key else None
    try:
        with archive.open("rb") as file:
            entries = read_entries(file)
            sha256, files = _digests(file, entries)
            if signer:
                signer.check(signer.kind.read(archive), sha256)
            by_name = {entry.name: entry for entry in entries}
            check_names(by_name)
            record = _read_record(read_whole(file, by_name[RECORD_ENTRY]), files)
            _check_manifest(record, read_whole(file, by_name[MANIFEST_ENTRY]))
            if not any_name:
                _check_name(archive, record)
            check_contents(file, by_name, record.model)
            if not signer:
                _check_origin(record)
    except (ContentError, SignatureError, StrictZipError) as error:
        raise VerificationError(f"{archive}: {error}.") from error
    return VerifiedArchive(record, sha256, signer is not None)


def _digests(file: BinaryIO, entries: Sequence[ZipEntry]) -> tuple[str, dict[str, FileRecord]]:
    """The SHA-256 of the whole archive, and the record of each file in it."""
    whole = hashlib.sha256()
    files = {}
    for entry in entries:
        whole.update(local_header(entry))
        content = hashlib.sha256()
        for block in read_content(file, entry):
            whole.update(block)
            content.update(block)
        files[entry.name] = FileRecord(size=entry.size, sha256=content.hexdigest())
    whole.update(central_directory(entries, entries[-1].end))
    return whole.hexdigest(), files


def _read_record(content: bytes, files: dict[str, FileRecord]) -> ArchiveRecord:
    try:
        record = ArchiveRecord.from_bytes(content)
    except ValueError as error:
        raise ContentError(f"{RECORD_ENTRY}: it is not a record that torchbridge writes") from error
    others = {name: file for name, file in files.items() if name != RECORD_ENTRY}
    for name in sorted(others.keys() | record.files):
        if others.get(name) != record.files.get(name):
            raise ContentError(f"{name}: its size and SHA-256 are not what the record says")
    return record


def _check_manifest(record: ArchiveRecord, manifest: bytes) -> None:
    if manifest != torchserve_manifest(record.name, record.version):
        raise ContentError(f"{MANIFEST_ENTRY}: it is not what TorchServe is to read of this record")


def _check_name(archive: Path, record: ArchiveRecord) -> None:
    if archive.name != record.file_name:
        raise ContentError(f"the file's name is not that of {record.name!r} in version {record.version!r}")


def _check_origin(record: ArchiveRecord) -> None:
    """Everything in it that can run, or that describes it, must be what this installation writes."""
    ours = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in packed_code().items()}
    for name in filter(is_code, record.files.keys() | ours):
        if name not in record.files or record.files[name].sha256 != ours.get(name):
            raise ContentError(f"{name}: it is not this installation's, and no key vouches for it{_WAYS_OUT}")
    bill = bill_of_materials(
        record.name,
        record.version,
        record.model,
        record.versions,
        {name: file for name, file in record.files.items() if name != BOM_ENTRY},
    )
    if record.files[BOM_ENTRY].sha256 != hashlib.sha256(bill).hexdigest():
        raise ContentError(f"{BOM_ENTRY}: it is not what the record says, and no key vouches for it")
