"""A second opinion on an archive: picklescan looks for what our own rules say cannot be there.

The wall is `verify`, which allows only kinds of files that cannot run. A scanner alone would be none: it knows what was
known to be bad when it was written. picklescan needs no other package; modelaudit brings 85 of them, and telemetry.
"""

from importlib.util import find_spec
from pathlib import Path

from adapter.archives.archive import ArchiveError


class ScanError(ArchiveError):
    """The archive holds what can run when it is loaded, or nobody could look; the message says which."""


def scan_archive(archive: Path) -> str:
    """Says who has looked. Raises ScanError."""
    if find_spec("picklescan") is None:
        raise ScanError("There is nobody to scan it: pip install picklescan.")
    from picklescan.scanner import scan_file_path  # noqa: PLC0415 - only who scans needs it

    try:
        result = scan_file_path(str(archive), strict=True)
    except Exception as error:  # whatever a scanner stumbles over has not been looked at
        raise ScanError(f"{archive} cannot be scanned: {error}") from error
    if result.scan_err:
        raise ScanError(f"{archive} holds a pickle that cannot be read to its end.")
    if result.scanned_files:
        found = ", ".join(sorted({f"{each.module}.{each.name}" for each in result.globals})) or "no global"
        raise ScanError(f"{archive} holds {result.scanned_files} pickles, which call {found}: an archive has none.")
    return "picklescan: no pickles"
