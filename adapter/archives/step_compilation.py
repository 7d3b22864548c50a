"""Has the handler's own code compile an archive's decode steps for this machine.

What comes of it stays outside of the archive, which is the same on every machine.
"""

import tempfile
from pathlib import Path

from adapter.archives.archive import PROJECT
from adapter.archives.archive_reader import ArchiveError, unpack
from adapter.archives.handler_process import HandlerProcessError, run_handler
from adapter.archives.verification import verify_archive

COMPILED_STEPS = PROJECT / ".torchbridge" / "compiled_steps"


def compile_steps(archive: Path, compiled_steps: Path) -> Path:
    """Gives the directory of their libraries; minutes, unless they are there already.

    Raises VerificationError where it is not an archive of this installation, ArchiveError where they cannot be made.
    """
    verify_archive(archive)
    with tempfile.TemporaryDirectory() as unpacked:
        unpack(archive, Path(unpacked))
        try:
            printed = run_handler("handlers.compile_model", unpacked, str(compiled_steps.resolve())).printed
        except HandlerProcessError as error:
            raise ArchiveError(f"{archive} cannot be compiled: {error}") from error
    return Path(printed.decode().strip())
