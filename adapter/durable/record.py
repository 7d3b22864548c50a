"""A small JSON file that is there whole, as it was or as it is now, wherever its writer ends."""

from abc import abstractmethod
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from adapter.durable.replacement import write_durably


class DurableRecord(BaseModel):
    model_config = ConfigDict(defer_build=True)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where there is no file. Raises what `damaged` gives where it says something else."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise cls.damaged(path) from error

    def write(self, path: Path) -> None:
        """Raises OSError; DiskFull where there is no space."""
        write_durably(path, self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    @abstractmethod
    def damaged(cls, path: Path) -> Exception:
        """The message says what to do, or what will be done."""
