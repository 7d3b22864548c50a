"""Has the handler's own code compile an archive's decode steps for this machine: the adapter has no torch.

What comes of it stays outside of the archive, which is the same on every machine.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from adapter.archives.archive import PROJECT, ArchiveError
from adapter.archives.verification import verify_archive

COMPILED_STEPS = PROJECT / ".torchbridge" / "compiled_steps"
# Where a worker looks for them.
VARIABLE = "TORCHBRIDGE_COMPILED_STEPS"


def compile_steps(archive: Path, compiled_steps: Path) -> Path:
    """Gives the directory of their libraries; minutes, unless they are there already.

    Raises VerificationError where it is not an archive of this installation, ArchiveError where they cannot be made.
    """
    verify_archive(archive)
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(unpacked)
        command = [sys.executable, "-m", "handlers.compile_model", unpacked, str(compiled_steps.resolve())]
        compilation = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603
    if compilation.returncode:
        lines = compilation.stderr.strip().splitlines()
        raise ArchiveError(f"{archive} cannot be compiled: {(lines or ['it ended without a word'])[-1]}")
    return Path(compilation.stdout.strip())
