"""What the model of an archive answered when it was packed."""

from pathlib import Path

from adapter.archives.archive import ArchiveError, read_entry
from adapter.probes import PROBES_ENTRY, Probes


def read_probes(archive: Path) -> Probes | None:
    """Nothing where the archive was packed without a check; whether they are the packer's, `verify` finds out."""
    content = read_entry(archive, PROBES_ENTRY)
    try:
        return None if content is None else Probes.from_bytes(content)
    except ValueError as error:
        raise ArchiveError(f"{archive} has probes that torchbridge did not write.") from error
