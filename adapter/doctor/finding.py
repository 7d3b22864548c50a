from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, Field


class Severity(StrEnum):
    WRONG = "wrong"  # it does not work like that
    WARNING = "warning"  # it works, but worse than it could, or not for long


class Finding(BaseModel):
    severity: Severity = Field(
        description="Whether it does not work like that (`wrong`), or only worse than it could (`warning`)."
    )
    what: str = Field(description="The finding, in a sentence.")
    remedy: str | None = Field(default=None, description="What to do about it; null if the finding says so.")


@dataclass(frozen=True)
class Scene:
    """Where to look. run_directory: of the server. config: TorchServe's. root: of the system's own files, as /proc.

    settings_file: the one of `serve --config`.
    """

    run_directory: Path
    config: Path
    environment: Mapping[str, str]
    root: Path = Path("/")
    settings_file: Path | None = None


Check: TypeAlias = Callable[[Scene], Iterator[Finding]]


def wrong(what: str, remedy: str | None = None) -> Finding:
    return Finding(severity=Severity.WRONG, what=what, remedy=remedy)


def warning(what: str, remedy: str | None = None) -> Finding:
    return Finding(severity=Severity.WARNING, what=what, remedy=remedy)
