"""Standard output and error that never block who writes to them, even if nobody reads.

A pipe or a terminal whose reader has stopped (Ctrl-S, a pager, a stalled log shipper) blocks its writers. For a
server that would be its event loop, and then its stop.
"""

import contextlib
import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, TextIO

_MAX_WAITING_CHARACTERS = 2**20
_LAST_WORDS_SECONDS = 2.0  # for the text that is left at the end, if somebody reads


class BackgroundStream(io.TextIOBase):
    """A text stream whose thread writes to `stream`. Text that does not fit into its buffer is dropped and counted.

    For all threads. `num_waiting` counts characters, `num_dropped` the lost lines that are not reported yet. The thread
    is a daemon and writes below `stream`'s own buffer: a thread that waits in there holds the buffer's lock, and the
    interpreter aborts at its end if it cannot have that (CPython's bufferedio.c, _enter_buffered_busy).
    """

    def __init__(self, stream: TextIO, max_waiting: int = _MAX_WAITING_CHARACTERS) -> None:
        """`max_waiting` is in characters."""
        super().__init__()
        self._stream = stream
        self._raw: io.RawIOBase | BinaryIO = getattr(stream.buffer, "raw", stream.buffer)
        self._max_waiting = max_waiting
        self._waiting: list[str] = []
        self.num_waiting = 0
        self.num_dropped = 0
        self._is_ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_what_comes, name="background output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property of TextIOBase, too, whatever typeshed says
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("This is a stream of text.")  # click knows a stream of text by this
        with self._changed:
            # After a first drop all is dropped until the buffer is taken, so that the notice stands where the gap is.
            if self.num_dropped or self.num_waiting + len(text) > self._max_waiting:
                self.num_dropped += max(1, text.count("\n"))
            else:
                self._waiting.append(text)
                self.num_waiting += len(text)
            self._changed.notify()
        return len(text)

    def end(self, patience: float = _LAST_WORDS_SECONDS) -> None:
        """Returns when all is written, or after `patience` seconds: nobody may be reading."""
        with self._changed:
            self._is_ended = True
            self._changed.notify()
        self._thread.join(patience)

    def is_writing(self) -> bool:
        return self._thread.is_alive()

    def _write_what_comes(self) -> None:
        while (text := self._take()) is not None:
            with contextlib.suppress(OSError):  # the reader is gone, or the disk is full: nobody could be told
                self._write_all(text.encode(self.encoding, "backslashreplace"))

    def _take(self) -> str | None:
        """Waits for text, and returns all that there is; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ended)
            if not self._waiting:
                return None
            text, num_dropped = "".join(self._waiting), self.num_dropped
            self._waiting, self.num_waiting, self.num_dropped = [], 0, 0
        return text if not num_dropped else f"{text}({num_dropped} lines were dropped here: nobody read them)\n"

    def _write_all(self, data: bytes) -> None:
        unwritten = memoryview(data)
        while unwritten:
            num_written = self._raw.write(unwritten)
            if num_written is None:  # another process with this pipe has made it non-blocking
                select.select([], [self._raw], [])
            else:
                unwritten = unwritten[num_written:]


@contextlib.contextmanager
def background_output() -> Iterator[None]:
    """In its block no thread waits for a reader of `sys.stdout` or `sys.stderr`. Its end waits for a moment at most."""
    with (
        _in_background(sys.stdout, contextlib.redirect_stdout),
        _in_background(sys.stderr, contextlib.redirect_stderr),
    ):
        yield


@contextlib.contextmanager
def _in_background(
    stream: TextIO | None, redirect: Callable[[BackgroundStream], AbstractContextManager[object]]
) -> Iterator[None]:
    """`stream` is None if the process that started us has closed it (`>&-`): then nothing is written."""
    if stream is None:
        yield
        return
    stream.flush()
    output = BackgroundStream(stream)
    try:
        with redirect(output):
            yield
    finally:
        output.end()


def say(text: str, end: str = "\n") -> None:
    """Prints a line of a result for the user. If its reader is gone the command has not failed."""
    _print(text, end, sys.stdout)


def notice(text: str) -> None:
    """Prints a line of progress on the standard error, so that a program that reads the result does not get it."""
    _print(text, "\n", sys.stderr)


def _print(text: str, end: str, stream: TextIO) -> None:
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        # Text that was not written stays in the buffer: the interpreter would try again at its end, and fail.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
