"""The signals that end a command, and what they do not cut short."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Coroutine

import pytest

from adapter.process.stop_signals import Stopped, postponed_stop, run_until_stopped, stop_signals

pytestmark = pytest.mark.usefixtures("hears_all_signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_process_ends_with_128_and_the_signals_number(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as exit_, stop_signals():
        os.kill(os.getpid(), number)
    assert exit_.value.code == 128 + number
    assert str(exit_.value) == f"stopped by {number.name}"


def send_within_stop_signals(*signals: signal.Signals) -> None:
    with stop_signals():
        for each in signals:
            os.kill(os.getpid(), each)


@pytest.mark.parametrize("ignored", [signal.SIGHUP, signal.SIGINT], ids=["by nohup", "by a shell's &"])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(ignored: signal.Signals) -> None:
    signal.signal(ignored, signal.SIG_IGN)
    with pytest.raises(Stopped) as stopped:
        send_within_stop_signals(ignored, signal.SIGTERM)

    assert stopped.value.signal_number == signal.SIGTERM
    assert signal.getsignal(ignored) is signal.SIG_IGN


def test_a_second_signal_makes_the_stop_urgent_and_does_not_disturb_it() -> None:
    urgencies: list[bool] = []

    def impatient() -> None:
        with stop_signals() as signals:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                urgencies.append(signals.is_urgent)
                os.kill(os.getpid(), signal.SIGINT)
                urgencies.append(signals.is_urgent)

    with pytest.raises(Stopped) as stopped:
        impatient()

    assert (stopped.value.signal_number, urgencies) == (signal.SIGTERM, [False, True])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def stop_within(done: list[str], error: Exception | None = None) -> None:
    with stop_signals():
        with postponed_stop():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all of it")
            if error:
                raise error
        done.append("more")


def test_what_must_not_be_cut_short_is_done_first() -> None:
    done: list[str] = []
    with pytest.raises(Stopped):
        stop_within(done)
    assert done == ["all of it"]


def test_a_failure_in_it_does_not_hide_the_signal() -> None:
    with pytest.raises(Stopped):
        stop_within([], ValueError())


def test_what_nothing_has_stopped_goes_on() -> None:
    with stop_signals(), postponed_stop():
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_callback_of_asyncio_swallows_it() -> None:
    async def wait() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    with pytest.raises(Stopped), stop_signals():
        asyncio.run(wait())


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Of Python's own, about what it cannot raise."""
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    return seen


async def never_begun() -> None:
    raise AssertionError


def test_a_signal_while_the_event_loop_is_made_leaves_nothing_half_made(
    monkeypatch: pytest.MonkeyPatch, complaints: list[object]
) -> None:
    make_pair = socket.socketpair

    def stopped_pair() -> tuple[socket.socket, socket.socket]:
        os.kill(os.getpid(), signal.SIGTERM)
        return make_pair()

    monkeypatch.setattr(socket, "socketpair", stopped_pair)
    with pytest.raises(Stopped), stop_signals():
        run_until_stopped(never_begun)
    gc.collect()
    assert complaints == []


def test_a_signal_before_the_task_is_made_leaves_no_coroutine_behind(complaints: list[object]) -> None:
    def stopped_work() -> Coroutine[None, None, None]:
        work = never_begun()
        os.kill(os.getpid(), signal.SIGTERM)
        return work

    with pytest.raises(Stopped), stop_signals():
        run_until_stopped(stopped_work)
    gc.collect()
    assert complaints == []


def test_the_work_is_done_and_its_failure_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"), stop_signals():
        run_until_stopped(fail)
