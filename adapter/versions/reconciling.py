"""Keeps a running server at what a file says, or else at what rollouts order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapter.versions.followed_file import FollowedFile
from adapter.versions.follower import Follower
from adapter.versions.reconcile_loop import DesiredStateSource, ReconcileLoop
from adapter.versions.rollout_orders import RolloutOrders
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles


@contextmanager
def reconciling(
    files: ServerFiles, find_server: Callable[[], RunningServer], followed: FollowedFile | None
) -> Iterator[RolloutOrders]:
    """If there is a file to follow, orders are refused."""
    files.followed.unlink(missing_ok=True)  # the record of the run before
    orders = RolloutOrders(find_server, followed.path if followed else None)
    source: DesiredStateSource = Follower(followed, files) if followed else orders
    with ReconcileLoop(find_server, source):
        yield orders
