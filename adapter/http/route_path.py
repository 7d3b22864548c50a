"""The route of an address, with or without the prefix that a proxy may put in front or take away."""

from collections.abc import Iterable

from starlette._utils import get_route_path
from starlette.types import Scope


class RootPathTaken(ValueError):
    """The prefix begins as one of the gateway's own addresses, so that none could tell whether it is there."""


def route_path(scope: Scope) -> str:
    """The path as the router reads it, by its own function: any other could open an address that needs a key."""
    return get_route_path(scope)


def put_below(root_path: str, scope: Scope) -> None:
    """Says of a request that the routes are below `root_path`, and of the prefix alone that it is `/` there.

    uvicorn's own setting would put it before the path of every request, whether a proxy has left it there or not.
    """
    if root_path:
        scope["root_path"] = root_path
        if scope["path"] == root_path:
            scope["path"] += "/"


def check_root_path(root_path: str, paths: Iterable[str]) -> None:
    """Raises RootPathTaken. `paths` are those of the routes."""
    for path in sorted(paths):
        if root_path and root_path.split("/")[1] == path.split("/")[1]:
            raise RootPathTaken(f"TORCHBRIDGE_ROOT_PATH cannot be {root_path}: the gateway itself has {path}.")
