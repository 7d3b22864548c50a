"""What a running server goes by, besides its commands: the file that it follows, or else the orders of rollouts."""

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
    """The desk takes no orders where there is a file: it says so."""
    files.followed.unlink(missing_ok=True)  # of the run before
    desk = OrderDesk(find_server, followed.path if followed else None)
    source: Source = Follower(followed, files) if followed else desk
    with StateKeeper(find_server, source):
        yield desk
