"""Packs in a process whose clock, directory order, umask and user are not its parent's:
`python pack_elsewhere.py SECONDS SEED UMASK USER MODEL OUTPUT` prints where the archive is.
"""

import datetime as dt
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Self


class ShuffledScan:
    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)


def shuffled(list_directory: Callable[..., Any], seed: int) -> Callable[..., list[Any]]:
    def list_in_another_order(path: Any = ".") -> list[Any]:
        entries = sorted(list_directory(path), key=str)
        random.Random(seed).shuffle(entries)
        return entries

    return list_in_another_order


def set_clock(seconds: float) -> None:
    class AnotherTime(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(seconds, tz)

    dt.datetime = AnotherTime  # type: ignore[misc]
    time.time = lambda: seconds


def main(*arguments: str) -> None:
    seconds, seed, umask, user, model, output = arguments
    set_clock(float(seconds))
    from adapter.archives.archive import build_archive  # noqa: PLC0415 - with the other clock

    scan, listing = shuffled(os.scandir, int(seed)), shuffled(os.listdir, int(seed))
    os.scandir = lambda path=".": ShuffledScan(scan(path))  # type: ignore[assignment]
    os.listdir = listing
    os.umask(int(umask, 8))
    metadata("pydantic")  # importlib.metadata imports its parts when it is used: another user may not read this Python
    if int(user) != os.getuid():
        os.setgid(int(user))
        os.setuid(int(user))
    print(build_archive(Path(model), "tiny", "1.0", Path(output)))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
