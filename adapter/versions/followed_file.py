"""models.yaml, as `serve --watch` sees it change."""

from pathlib import Path

from adapter.strict_yaml import MAX_BYTES
from adapter.versions.desired_state import DesiredState


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
        """Marks the last content as done with, well or not: it is not new again before the next change."""
        self._settled = self._seen

    def _content(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
