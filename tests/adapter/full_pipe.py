"""A pipe that nobody reads, and that is full."""

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

import pytest


@contextlib.contextmanager
def full_pipe() -> Iterator[tuple[int, TextIO, int]]:
    """Its end to read, its end to write, which is shown to be full, and the number of bytes that are in it."""
    reader, writer = os.pipe()
    num_bytes = fill(writer)
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb"):
        yield reader, stream, num_bytes  # the reader's end is closed first: a thread that still writes wakes up


def fill(writer: int) -> int:
    """Returns how many bytes it took, after the pipe has refused another one."""
    os.set_blocking(writer, False)
    num_bytes = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            num_bytes += os.write(writer, b"." * 4096)
    with pytest.raises(BlockingIOError):
        os.write(writer, b".")
    os.set_blocking(writer, True)
    return num_bytes


def read_all(reader: int, until: bytes) -> bytes:
    read = b""
    while until not in read:
        some = os.read(reader, 2**16)
        assert some, f"the pipe ended after {read[-200:]!r}"
        read += some
    return read
