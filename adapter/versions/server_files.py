"""Where a server keeps what outlives it, and who is changing it right now."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapter.durable.private_directory import open_private
from adapter.versions.errors import ServerBusy

_PROCESS = re.compile(r"\(process (\d+)(?:, since [^)]*)?\)\n\Z")


@dataclass(frozen=True)
class ServerFiles:
    """Found by the run directory."""

    run_directory: Path

    @property
    def store(self) -> Path:
        return self.run_directory / "model_store"

    @property
    def pulled(self) -> Path:
        """Where archives from a registry lie until they are in the store (pulled_archives.py)."""
        return self.run_directory / "pulled"

    @property
    def state(self) -> Path:
        return self.run_directory / "versions.json"

    @property
    def journal(self) -> Path:
        return self.run_directory / "journal.jsonl"

    @property
    def canaries(self) -> Path:
        """The last one of each model that the server has watched (canary_record.py)."""
        return self.run_directory / "canaries.json"

    @property
    def followed(self) -> Path:
        """How far the server is with the file that it follows, if it does (follow_record.py)."""
        return self.run_directory / "followed.json"

    @property
    def lock(self) -> Path:
        return self.run_directory / "versions.lock"

    @property
    def unpacked(self) -> Path:
        """Where TorchServe unpacks archives (RunDirectory.environment)."""
        return self.run_directory / "tmp"

    @property
    def compilations(self) -> Path:
        """Where workers write how far they are with their compiled steps (RunDirectory.environment)."""
        return self.run_directory / "compilations"

    def clear_unpacking(self) -> None:
        """What TorchServe has left half unpacked, as on a full disk (ZipUtils.java, unzip). Hold the lock."""
        for directory in self.unpacked.glob("models*.download"):
            shutil.rmtree(directory, ignore_errors=True)

    @property
    def public_key(self) -> Path:
        """Of who must have signed what the server loads, if it was started with a key (required_key.py)."""
        return self.run_directory / "required_key.pub"

    @contextlib.contextmanager
    def locked(self, what: str, *, waits: bool = False) -> Iterator[None]:
        """Keeps others from changing what is here. Unless it waits it raises ServerBusy, which says who does.

        The lock ends with the process, however it ends.
        """
        with open(self.lock, "a+", encoding="utf-8", opener=open_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ServerBusy(f"{_holder(file.read(), self.lock)}.") from None
            file.truncate(0)
            with contextlib.suppress(OSError):  # of a full disk: then it is held without a word
                since = datetime.now(UTC)
                os.write(file.fileno(), f"{what} (process {os.getpid()}, since {since:%H:%M:%S} UTC)\n".encode())
            try:
                yield
            finally:
                file.truncate(0)

    def is_held(self) -> bool:
        """Whether a command is changing what is here. It takes no lock, which might be in another one's way."""
        return self.lock.exists() and _is_there(self.lock.read_text(encoding="utf-8"), self.lock)


def _holder(last_words: str, lock: Path) -> str:
    """Who holds the lock, by what its last holder has written: that may have been killed, and another one came."""
    if _is_there(last_words, lock):
        return f"Another command is changing this server: {last_words.strip()}"
    return f"Another process holds {lock}, and does not say who it is"


def _is_there(last_words: str, lock: Path) -> bool:
    process = _PROCESS.search(last_words)
    return process is not None and _has_open(int(process[1]), lock)


def _has_open(process: int, path: Path) -> bool:
    import psutil  # noqa: PLC0415 - only where a lock is held, or was left by a kill

    try:
        return any(file.path == str(path) for file in psutil.Process(process).open_files())
    except psutil.Error:  # it has ended, or is somebody else's by now
        return False
