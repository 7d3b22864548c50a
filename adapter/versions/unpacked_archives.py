"""What TorchServe has unpacked, from which it starts each worker: it never unpacks an archive twice."""

import hashlib
from pathlib import Path

from adapter.archives.record import RECORD_ENTRY, ArchiveRecord
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import VersionState


def is_unpacked(files: ServerFiles, deployed: VersionState) -> bool:
    """Whether all files of the version are there. Somebody may have cleaned the directory (tmpfiles.d)."""
    return any(
        hashlib.sha256(content := record.read_bytes()).hexdigest() == deployed.digest
        and _has_all(record.parent.parent, ArchiveRecord.from_bytes(content))
        for record in files.unpacked.glob(f"models/*/{RECORD_ENTRY}")
    )


def _has_all(directory: Path, record: ArchiveRecord) -> bool:
    return all((directory / name).is_file() for name in record.files)
