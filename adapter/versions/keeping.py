"""Keeps a running server at what a file says, or else at what rollouts order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapter.versions.followed_file import FollowedFile
from adapter.versions.follower import Follower
from adapter.versions.order_desk import OrderDesk
from adapter.versions.running_server import RunningServer, ServerFiles
from adapter.versions.state_keeper import Source, StateKeeper


@contextmanager
def keeping_state(
    files: ServerFiles, find_server: Callable[[], RunningServer], followed: FollowedFile | None
) -> Iterator[OrderDesk]:
    """If there is a file to follow, orders are refused."""
    files.followed.unlink(missing_ok=True)  # the record of the run before
    desk = OrderDesk(find_server, followed.path if followed else None)
    source: Source = Follower(followed, files) if followed else desk
    with StateKeeper(find_server, source):
        yield desk
