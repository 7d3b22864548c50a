"""Has the handler's own code compile an archive's steps for this machine.

The result stays outside of the archive, which is the same on every machine.
"""

import tempfile
from contextlib import suppress
from pathlib import Path

from adapter.archives.archive_reader import ArchiveError, unpack
from adapter.archives.handler_process import HandlerProcessError, run_handler
from adapter.archives.verification import verify_archive
from adapter.durable.disk_space import expect_not_full, full_disk_in_words


def compile_steps(archive: Path, compiled_steps: Path) -> Path:
    """Returns the directory of the compiled libraries. It takes minutes, unless they are there already.

    Raises VerificationError where it is not an archive of this installation, ArchiveError where they cannot be made,
    DiskFull where there is no space. However it ends, nothing half made is left.
    """
    verify_archive(archive)
    compiled_steps = compiled_steps.resolve()
    try:
        return _compile_steps(archive, compiled_steps)
    finally:
        with suppress(OSError):  # unless something is in it
            compiled_steps.rmdir()


def _compile_steps(archive: Path, compiled_steps: Path) -> Path:
    compiled_steps.mkdir(parents=True, exist_ok=True)
    what = f"{archive.name}, compiled,"
    with (
        tempfile.TemporaryDirectory() as unpacked,
        tempfile.TemporaryDirectory(prefix=".compiling-", dir=compiled_steps) as scratch,
    ):
        with full_disk_in_words(f"{archive.name}, unpacked,", Path(unpacked)):
            unpack(archive, Path(unpacked))
        try:
            printed = run_handler("handlers.compile_model", unpacked, str(compiled_steps), scratch).printed
        except HandlerProcessError as error:
            expect_not_full(what, compiled_steps, str(error))
            raise ArchiveError(f"{archive} cannot be compiled: {error}") from error
    return Path(printed.decode().strip())
