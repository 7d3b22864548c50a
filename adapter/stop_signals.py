"""The signals that end a command: Ctrl-C, what systemd and CI send, and the terminal's end."""

import contextlib
import signal
from collections.abc import Iterator
from typing import NoReturn


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or the terminal's end came. Not an Exception, so that nothing on its way handles it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Turns the first of these signals into Stopped, and ignores further ones: the stop is on its way.

    One that was ignored before stays so: by nohup it is the terminal's end, by a shell's `&` Ctrl-C.
    """
    known = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    watched = [each for each in known if signal.getsignal(each) is not signal.SIG_IGN]

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
