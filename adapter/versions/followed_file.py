"""models.yaml, as `serve --watch` sees it change: what is to be served now, and what became of that."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from adapter.strict_yaml import MAX_BYTES
from adapter.versions.desired_state import DesiredState
from adapter.versions.durable import write_durably
from adapter.versions.errors import ChangeRefused


class FollowedFile:
    """A file that is replaced by a rename, by links (a ConfigMap), or written in place.

    Nobody can tell a file that is half written from a short one, so a content counts only once it is found unchanged
    by the next look. A reader that finds none at all, as between two links, has found nothing new.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._settled: bytes | None = None
        self._seen: bytes | None = None

    def read(self) -> DesiredState:
        """For a start, which takes what there is. Raises ChangeRefused, or OSError."""
        self._settled = self._seen = self._content()
        return DesiredState.parse(self._settled, self.path)

    def has_changed(self) -> bool:
        """Whether two looks have found the same new content. Raises OSError where there is no file."""
        content = self._content()
        is_steady, self._seen = content == self._seen, content
        return is_steady and content != self._settled

    def desired(self) -> DesiredState:
        """What the content that was seen last says. Raises ChangeRefused."""
        return DesiredState.parse(self._seen or b"", self.path)

    def settle(self) -> None:
        """What was seen last is done with, well or not: until the next change it is nothing new."""
        self._settled = self._seen

    def _content(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(MAX_BYTES + 1)


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
