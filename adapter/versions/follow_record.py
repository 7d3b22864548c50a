"""What became of the file that `serve --watch` follows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from adapter.durable.replacement import write_durably
from adapter.versions.errors import ChangeRefused


class FollowRecord(BaseModel):
    """What the server says of its file: `reason` why what it says is not served; None: it is."""

    file: Path
    since: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    reason: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ChangeRefused(f"{path} is damaged: the server writes it anew when its file changes.") from error

    def write(self, path: Path) -> None:
        write_durably(path, self.model_dump_json(indent=2).encode() + b"\n")

    def in_words(self) -> str:
        if self.reason is None:
            return f"The server follows {self.file}, and serves what it says."
        return (
            f"The server follows {self.file}, but does not serve what it says: {self.reason} What was served goes on."
        )
