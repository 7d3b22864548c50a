"""What an installation and its workers say to each other of compiled steps: whether to make them, and how far they are.

It is packed into archives, and needs nothing but Pydantic.
"""

import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

# Of a worker's environment. The first is "true" where steps are compiled in the background; where it is absent nobody
# has said so. The other is the directory where each worker writes how far it is with them.
COMPILE_VARIABLE = "TORCHBRIDGE_COMPILE"
COMPILATIONS_VARIABLE = "TORCHBRIDGE_COMPILATIONS"


class CompilationState(StrEnum):
    COMPILED = "compiled"
    COMPILING = "compiling"
    WAITING = "waiting"
    NOT_COMPILED = "not compiled"


class Compilation(BaseModel):
    """Of the steps of one version's worker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: CompilationState
    reason: str | None = Field(default=None, description="Why they are not compiled.")
    since: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_settled(self) -> bool:
        """Whether this worker will say nothing else any more."""
        return self.state in {CompilationState.COMPILED, CompilationState.NOT_COMPILED}

    @classmethod
    def read(cls, directory: Path, model: str, version: str) -> Self | None:
        """None where no worker has said anything, as those of older archives do not."""
        try:
            return cls.model_validate_json(_file(directory, model, version).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, directory: Path, model: str, version: str) -> None:
        """Raises OSError."""
        file = _file(directory, model, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(f".{os.getpid()}.half")  # whoever reads meanwhile finds the one before
        half.write_text(self.model_dump_json(), encoding="utf-8")
        half.replace(file)

    @classmethod
    def forget(cls, directory: Path, model: str, version: str) -> None:
        """What an earlier worker of this version said: one of an older archive says nothing. Raises OSError."""
        _file(directory, model, version).unlink(missing_ok=True)


def _file(directory: Path, model: str, version: str) -> Path:
    return directory / model / f"{version}.json"
