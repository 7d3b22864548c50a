"""An answer of the light model that is there for as long as a test needs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.schema import MAX_LENGTH


@dataclass(frozen=True)
class LongAnswer:
    """What answers `request` ends when it is told to, by this file."""

    file: Path

    @property
    def request(self) -> dict[str, Any]:
        return {"prompt": str(self.file), "max_length": MAX_LENGTH}

    def end(self) -> None:
        self.file.touch()
