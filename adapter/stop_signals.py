"""The signals that end a command: Ctrl-C, what systemd and CI send, and the terminal's end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

_KNOWN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """Ctrl-C, SIGTERM or the terminal's end came: the process ends with 128 and its number, as a shell says it.

    asyncio lets SystemExit and KeyboardInterrupt alone through its callbacks; the latter click takes for its own.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signal_number).name}"


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Turns the first of these signals into Stopped, and ignores further ones: the stop is on its way.

    One that was ignored before stays so: by nohup it is the terminal's end, by a shell's `&` Ctrl-C.
    """
    watched = [each for each in _KNOWN if signal.getsignal(each) is not signal.SIG_IGN]

    def stop(signal_number: int, _: object) -> NoReturn:
        for each in watched:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal_number)

    previous = {each: signal.signal(each, stop) for each in watched}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def postponed_stop() -> Iterator[None]:
    """A signal that comes in the block does its work after it: what is half done in there nobody could put right."""
    if threading.current_thread() is not threading.main_thread():  # where no signal is handled
        yield
        return
    came: list[int] = []
    watched = [each for each in _KNOWN if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {each: signal.signal(each, lambda number, _: came.append(number)) for each in watched}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])
