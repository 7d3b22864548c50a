"""The attachments of an archive that is pushed: its bill of materials, and its signatures and provenance beside it."""

from collections.abc import Iterator
from pathlib import Path

from adapter.archives.archive_reader import read_bill_of_materials
from adapter.archives.provenance import provenance_path
from adapter.archives.signature_kinds import KINDS
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.referrers import Attachment

SIGNATURE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT_TYPE = "application/vnd.in-toto+json"
_ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"  # a signed statement (adapter/archives/dsse.py)
_BOM_TYPE = "application/vnd.cyclonedx+json"


def attachments(archive: Path, file_name: str, sha256: str) -> Iterator[Attachment]:
    """The attachments, named after `file_name`. Raises ArtifactError if a signature is for another file, or OSError."""
    yield Attachment(_BOM_TYPE, f"{file_name}.bom.cdx.json", read_bill_of_materials(archive).encode())
    for kind in KINDS:
        if (path := kind.path(archive)).exists():
            signature = path.read_bytes()
            if not kind.is_of(signature, sha256):
                raise ArtifactError(f"{path} is not a signature of {archive.name}: {kind.maker} writes one.")
            yield Attachment(SIGNATURE_TYPE, kind.path(Path(file_name)).name, signature)
    if (path := provenance_path(archive)).exists():
        statement = path.read_bytes()
        media_type = _ENVELOPE_TYPE if b'"payloadType"' in statement else _STATEMENT_TYPE
        yield Attachment(media_type, f"{file_name}.provenance.json", statement)
