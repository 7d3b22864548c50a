"""The server's own archives: nobody else's hand is on them between their verification and their registration."""

import filecmp
import os
import shutil
from pathlib import Path

from adapter.archives.signature_paths import signature_paths
from adapter.durable.disk_space import expect_space, full_disk_in_words
from adapter.durable.replacement import sync_directory

_STAGING = ".incoming"


class ModelStore:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, archive: str) -> Path:
        return self.directory / archive

    def stage(self, source: Path, name: str) -> Path:
        """A copy of the archive, and of its signatures where it has any, which is not in the store yet.

        Raises OSError; DiskFull where there is no space for it, and nothing is left then.
        """
        self.clear_staging()
        staging = self.directory / _STAGING
        staged = staging / name
        try:
            with full_disk_in_words(name, self.directory):
                staging.mkdir(parents=True)
                expect_space(name, (self.directory, source.stat().st_size))
                _copy(source, staged)
                for signature, copy in zip(signature_paths(source), signature_paths(staged), strict=True):
                    if signature.exists():
                        _copy(signature, copy)
        except BaseException:
            self.clear_staging()
            raise
        return staged

    def install(self, staged: Path) -> None:
        """What lies there by its name goes, and so do its signatures, unless they are of the same content."""
        if not self._has_signatures_of(staged):
            self._remove_signatures(staged.name)
        for path in (*signature_paths(staged), staged):
            if path.exists():
                path.replace(self.directory / path.name)
        self.clear_staging()
        sync_directory(self.directory)

    def remove(self, archive: str) -> None:
        self.path(archive).unlink(missing_ok=True)
        self._remove_signatures(archive)

    def clear_staging(self) -> None:
        shutil.rmtree(self.directory / _STAGING, ignore_errors=True)

    def _has_signatures_of(self, staged: Path) -> bool:
        """By what they lie beside: an archive of many gigabytes is read for it only where there are some."""
        installed = self.path(staged.name)
        are_there = any(signature.exists() for signature in signature_paths(installed))
        return are_there and installed.exists() and filecmp.cmp(installed, staged, shallow=False)

    def _remove_signatures(self, archive: str) -> None:
        for path in signature_paths(self.path(archive)):
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
