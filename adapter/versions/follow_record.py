"""What became of the file that `serve --watch` follows."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field

from adapter.durable.record import DurableRecord
from adapter.versions.errors import ChangeRefused
from adapter.versions.server_state import ServerState


class FollowRecord(DurableRecord):
    """What the server says of its file: `reason` why what it says is not served; None: it was, with `state_digest`."""

    file: Path
    since: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    reason: str | None = None
    state_digest: str | None = None  # of the server's record, as the file has made it

    @classmethod
    def damaged(cls, path: Path) -> ChangeRefused:
        return ChangeRefused(f"{path} is damaged: the server writes it anew when its file changes.")

    def in_words(self, state: ServerState | None = None) -> str:
        """`state`: what the server serves now."""
        if self.reason is None and state is not None and digest_of(state) != self.state_digest:
            return (
                f"The server follows {self.file}, and a command or a canary has changed what is served since: that "
                "lasts until the file changes next."
            )
        if self.reason is None:
            return f"The server follows {self.file}, and serves what it says."
        return (
            f"The server follows {self.file}, but does not serve what it says: {self.reason} What was served goes on."
        )


def digest_of(state: ServerState) -> str:
    """Of what is served, whenever it was deployed."""
    return hashlib.sha256(state.model_dump_json(include={"models", "default_model"}).encode()).hexdigest()
