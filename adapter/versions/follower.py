"""`serve --watch`: serves what models.yaml says, and follows each change of it."""

import logging
import time

from adapter.versions.errors import ServerBusy, VersionError
from adapter.versions.follow_record import FollowRecord, digest_of
from adapter.versions.followed_file import FollowedFile
from adapter.versions.reconcile_loop import Converge, reason_of
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState

_FIRST_RETRY, _LAST_RETRY = 30.0, 960.0  # seconds after a failure, twice as long each time

_log = logging.getLogger(__name__)


class Follower:
    """A file that is missing, is not valid or cannot be served changes nothing, and `status` says so.

    What could not be served is tried again: a registry may have been away.
    """

    def __init__(self, file: FollowedFile, files: ServerFiles) -> None:
        self._file = file
        self._files = files
        self._record = FollowRecord(file=file.path, state_digest=self._state_digest())
        self._reason: str | None = None  # why the content that was seen last is not served
        self._retry_at: float | None = None
        self._retry_after = _FIRST_RETRY
        self._record.write(files.followed)

    def look(self, converge: Converge) -> None:
        try:
            is_new = self._file.has_changed()
        except OSError as error:
            self._say(f"it cannot be read ({error.strerror}).")
            return
        if is_new:
            self._retry_after = _FIRST_RETRY
        elif self._retry_at is None or time.monotonic() < self._retry_at:
            self._say(self._reason)  # also where the file was away for a while
            return
        self._follow(converge)

    def _follow(self, converge: Converge) -> None:
        try:
            converge(self._file.desired(), f"following {self._file.path.name}", lambda _: None)
        except ServerBusy:
            return  # a command changes the server: the next look tries again
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on with what it has
            self._retry_at = time.monotonic() + self._retry_after
            self._retry_after = min(2 * self._retry_after, _LAST_RETRY)
            self._reason = reason_of(error)
        else:
            self._retry_at = self._reason = None
        self._file.settle()
        if self._reason is None:
            self._record = self._record.model_copy(update={"state_digest": self._state_digest()})
        self._say(self._reason, is_new=self._reason is None)

    def _say(self, reason: str | None, *, is_new: bool = False) -> None:
        """Reports each reason once. A full disk does not end the following."""
        if reason == self._record.reason and not is_new:
            return
        self._record = FollowRecord(file=self._file.path, reason=reason, state_digest=self._record.state_digest)
        _log.log(logging.INFO if reason is None else logging.WARNING, "%s", self._record.in_words())
        try:
            self._record.write(self._files.followed)
        except OSError as error:
            _log.warning("that is not written down: %s", error)

    def _state_digest(self) -> str | None:
        try:
            state = ServerState.read(self._files.state)
        except (VersionError, OSError):
            return None
        return None if state is None else digest_of(state)
