"""Messages of an installation and its workers about compiled steps: whether to make them, and how far they are.

It is packed into archives, and needs nothing but Pydantic.
"""

import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

# Variables of a worker's environment. The first is "true" if steps are to be compiled in the background; it is absent
# if nobody has decided. The other is the directory where each worker writes how far it is with them.
COMPILE_VARIABLE = "TORCHBRIDGE_COMPILE"
COMPILATIONS_VARIABLE = "TORCHBRIDGE_COMPILATIONS"


class CompilationState(StrEnum):
    COMPILED = "compiled"
    COMPILING = "compiling"
    WAITING = "waiting"
    NOT_COMPILED = "not compiled"


class Compilation(BaseModel):
    """How far one version's worker is with its compiled steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: CompilationState = Field(description="How far the compiled steps are.")
    reason: str | None = Field(default=None, description="Why they are not compiled; null if they are, or will be.")
    since: datetime = Field(default_factory=lambda: datetime.now(UTC), description="The time of this state.")

    @property
    def is_settled(self) -> bool:
        """Whether this is the worker's last word."""
        return self.state in {CompilationState.COMPILED, CompilationState.NOT_COMPILED}

    @classmethod
    def read(cls, directory: Path, model: str, version: str) -> Self | None:
        """None if no worker has written anything; those of older archives never do."""
        try:
            return cls.model_validate_json(_file(directory, model, version).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, directory: Path, model: str, version: str) -> None:
        """Raises OSError."""
        file = _file(directory, model, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(f".{os.getpid()}.half")  # a reader meanwhile finds the one before
        half.write_text(self.model_dump_json(), encoding="utf-8")
        half.replace(file)

    @classmethod
    def forget(cls, directory: Path, model: str, version: str) -> None:
        """Deletes what an earlier worker of this version wrote: one of an older archive writes none. Raises OSError."""
        _file(directory, model, version).unlink(missing_ok=True)


def _file(directory: Path, model: str, version: str) -> Path:
    return directory / model / f"{version}.json"
