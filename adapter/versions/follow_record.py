"""What became of the file that `serve --watch` follows."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field

from adapter.durable.record import DurableRecord
from adapter.versions.errors import ChangeRefused


class FollowRecord(DurableRecord):
    """What the server says of its file: `reason` why what it says is not served; None: it is."""

    file: Path
    since: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    reason: str | None = None

    @classmethod
    def damaged(cls, path: Path) -> ChangeRefused:
        return ChangeRefused(f"{path} is damaged: the server writes it anew when its file changes.")

    def in_words(self) -> str:
        if self.reason is None:
            return f"The server follows {self.file}, and serves what it says."
        return (
            f"The server follows {self.file}, but does not serve what it says: {self.reason} What was served goes on."
        )
