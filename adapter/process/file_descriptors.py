"""File descriptors: how many this process may have, and what the event loop says when there are none left."""

import asyncio
import errno
import logging
import resource
import time
from typing import Any

# Kept for listeners, logs, Redis, archives that are looked into, and what libraries open.
_RESERVED = 64
_NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}  # as asyncio's _accept_connection has them
_SECONDS_BETWEEN_LINES = 60

_log = logging.getLogger(__name__)


def raise_descriptor_limit() -> int:
    """Raises it as far as the system lets this process; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS names a limit here that it does not give
        _log.debug("the limit of %d file descriptors stays: %s", soft, error)
    else:
        _log.debug("the limit of file descriptors is %d, and was %d", hard, soft)
        soft = hard
    return soft


def most_connections(num_descriptors: int) -> int:
    """Each may need a second descriptor, for its request to TorchServe."""
    return max(1, (num_descriptors - _RESERVED) // 2)


class LoopFailures:
    """An event loop's exception handler, which says once a minute at most that no connection can be accepted.

    asyncio says it with a traceback for each try, of which it makes as many as its backlog is long.
    """

    def __init__(self) -> None:
        self._said_at = -float("inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NONE_LEFT and "socket" in context):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said_at >= _SECONDS_BETWEEN_LINES:
            self._said_at = time.monotonic()
            _log.error("no connection can be accepted: %s", error.strerror)
