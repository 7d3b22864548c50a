"""A second opinion on an archive: picklescan looks for what our own rules say cannot be there.

The wall is `verify`, which allows only kinds of files that cannot run. A scanner alone would be none: it knows what was
known to be bad when it was written. picklescan needs no other package; modelaudit brings 85 of them, and telemetry.
"""

import io
import logging
import zipfile
from importlib.util import find_spec
from pathlib import Path

from adapter.archives.archive_reader import ArchiveError
from adapter.archives.strict_zip import read_entries

_BAD_PICKLE = b"\x80\x02cos\nsystem\n."


class ScanError(ArchiveError):
    """The archive holds something that can run when it is loaded, or cannot be scanned; the message says which."""


def scan_archive(archive: Path) -> str:
    """Returns the name and version of the scanner. Raises ScanError."""
    if find_spec("picklescan") is None:
        raise ScanError("There is nobody to scan it: pip install picklescan.")
    from picklescan.scanner import scan_bytes, scan_file_path  # noqa: PLC0415 - only who scans needs it

    log_of_archive = _Messages()
    log = logging.getLogger("picklescan")
    log.addHandler(log_of_archive)
    try:
        is_blind = not scan_bytes(_bad_archive(), "control", strict=True).issues_count
        log_of_archive.messages.clear()
        with archive.open("rb") as file:
            read_entries(file)  # picklescan fills the memory if a zip hides or compresses something
        result = scan_file_path(str(archive), strict=True)
    except Exception as error:  # whatever made the scanner fail was not scanned
        raise ScanError(f"{archive} cannot be scanned: {error}") from error
    finally:
        log.removeHandler(log_of_archive)
    if is_blind:
        raise ScanError("picklescan does not even find os.system in a pickle: nobody has looked.")
    if result.scan_err:
        raise ScanError(f"{archive} holds a pickle that cannot be read to its end.")
    if result.scanned_files:
        found = ", ".join(sorted({f"{each.module}.{each.name}" for each in result.globals})) or "no global"
        raise ScanError(f"{archive} holds {result.scanned_files} pickles, which call {found}: an archive has none.")
    if log_of_archive.messages:
        raise ScanError(f"{archive} cannot be scanned: {log_of_archive.messages[0]}")
    return "picklescan: no pickles"


class _Messages(logging.Handler):
    """picklescan passes over an entry that it cannot open, and says so in its log only."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _bad_archive() -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model.safetensors", _BAD_PICKLE)
    content.seek(0)
    return content
