"""Records of earlier builds of the same steps: why they cannot be made, and how often one was ended by a signal."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handlers.build_process import BuildFailed
from handlers.cpp_compiler import compiler_version

# A worker whose build ends the whole service is started again by it, and would build again.
_MOST_KILLED = 2


def name_of_build(shape: str, directory: Path) -> str:
    """A build that fails may do so for the weights of the archive in `directory`, or for the compiler."""
    record = (directory / "MAR-INF" / "RECORD.json").read_bytes()
    compiler = compiler_version().encode()
    return f"{shape}-{hashlib.sha256(record).hexdigest()[:12]}-{hashlib.sha256(compiler).hexdigest()[:8]}"


class PastBuilds:
    """directory: for the records. name: as name_of_build. For who holds the lock of `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        self._scratch = directory / "scratch"

    @contextmanager
    def new_build(self) -> Iterator[Path]:
        """Gives a build its empty scratch directory, in a block. Raises BuildFailed if the build would be in vain."""
        self._count_interrupted()
        self._expect_no_failure()
        self._scratch.mkdir(exist_ok=True)  # a build that is about to end may write there still
        scratch = Path(tempfile.mkdtemp(prefix=f"{self._name}.", dir=self._scratch))
        try:
            yield scratch
        except BuildFailed as failure:
            if failure.is_lasting:
                self._note("failed", self._name, str(failure))
            elif failure.is_killed:
                self._count_killed(self._name)
            raise
        else:
            (self._directory / "killed" / self._name).unlink(missing_ok=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _expect_no_failure(self) -> None:
        failure = self._directory / "failed" / self._name
        if failure.exists():
            reason = failure.read_text(encoding="utf-8")
            raise BuildFailed(f"{reason} (not tried again while there is {failure})", is_lasting=True)

    def _count_interrupted(self) -> None:
        """Counts what was killed together with its worker: any other build deletes its scratch directory at its end."""
        for left in self._scratch.glob("*"):
            self._count_killed(left.name.rpartition(".")[0])
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _count_killed(self, name: str) -> None:
        before = self._directory / "killed" / name
        times = 1 + (len(before.read_text(encoding="utf-8").splitlines()) if before.exists() else 0)
        if times < _MOST_KILLED:
            self._note("killed", name, "killed\n" * times)
            return
        self._note("failed", name, f"{times} builds were ended by a signal, as where memory runs out")
        before.unlink(missing_ok=True)

    def _note(self, kind: str, name: str, words: str) -> None:
        directory = self._directory / kind
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(words, encoding="utf-8")
