"""The signals that end a command: Ctrl-C, what systemd and CI send, and the terminal's end."""

import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
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


@dataclass
class StopSignals:
    """`is_urgent`: another signal came after the first one, so that nothing is to be waited for any longer."""

    is_urgent: bool = False


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Turns the first of these signals into Stopped; further ones disturb nothing, but the stop is to hurry.

    One that was ignored before stays so: by nohup it is the terminal's end, by a shell's `&` Ctrl-C.
    """
    watched = [each for each in _KNOWN if signal.getsignal(each) is not signal.SIG_IGN]
    heard = StopSignals()

    def hurry(*_: object) -> None:
        heard.is_urgent = True

    def stop(signal_number: int, _: object) -> NoReturn:
        for each in watched:
            signal.signal(each, hurry)
        raise Stopped(signal_number)

    previous = {each: signal.signal(each, stop) for each in watched}
    try:
        yield heard
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def postponed_stop() -> Iterator[None]:
    """Puts a signal off to the end of the block: nobody could put right what it would leave half done."""
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


def run_until_stopped(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """asyncio.run, whose loop and task are made whole, and closed whole.

    A signal in the middle of either leaves what Python complains of on the standard error when it is collected.
    """
    import asyncio  # noqa: PLC0415 - most commands have no use for it

    runner = asyncio.Runner()
    try:
        with postponed_stop():
            task = runner.get_loop().create_task(work())
        runner.get_loop().run_until_complete(task)
    finally:
        with postponed_stop():
            runner.close()
