"""Faults that are made while callers call, and what became of their calls."""

import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from tests.faults.callers import Callers, Fate, calling
from tests.faults.served import Served, serving_tiny
from tests.waiting import wait_until

_STANDSTILL = 3.0  # seconds
_MANY = 200


class Calls(NamedTuple):
    runs: int
    fates: Counter[Fate]


def nothing(_: Served) -> None:
    """What there is without a fault."""


def kill_the_worker(served: Served) -> None:
    worker = served.worker()
    worker.kill()
    wait_until(lambda: not worker.is_running())


def kill_torchserve(served: Served) -> None:
    java = served.java()
    java.kill()
    wait_until(lambda: not java.is_running())


def have_the_worker_stand_still(served: Served) -> None:
    _stand_still(served.worker())


def have_torchserve_stand_still(served: Served) -> None:
    _stand_still(served.java())


def have_torchserve_stand_still_for_good(served: Served) -> None:
    """`serve` kills it, and starts another one."""
    java = served.java()
    java.suspend()
    wait_until(lambda: not java.is_running())


def have_the_key_replaced(served: Served) -> None:
    """By somebody else: what the gateway has is refused."""
    served.keys.renew("inference")


def lose_the_key_file(served: Served) -> None:
    served.keys.path.unlink()
    served.keys.renew("inference")


def have_callers_come_who_send_nothing(served: Served) -> None:
    address = urlsplit(served.url)
    with ExitStack() as connections:
        for _ in range(_MANY):
            connections.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
        time.sleep(_STANDSTILL)


def have_callers_come_who_leave(served: Served) -> None:
    """In the middle of their streams."""
    address = urlsplit(served.url)
    body = b'{"prompt": "Once", "max_length": 100}'
    head = b"POST /generate/stream HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    for _ in range(_MANY // 10):
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            connection.recv(1)


def take_the_cores(served: Served) -> None:
    """The worker has the lowest priority that there is, and other work has all cores."""
    worker = served.worker()
    worker.nice(19)
    with ExitStack() as stack:
        for _ in range(psutil.cpu_count() or 1):
            busy = psutil.Popen(["sh", "-c", "while :; do :; done"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        time.sleep(_STANDSTILL)


FAULTS: Mapping[str, Callable[[Served], None]] = {
    "no fault": nothing,
    "kill -9 of the worker": kill_the_worker,
    "kill -9 of TorchServe": kill_torchserve,
    "the worker stands still for 3 s": have_the_worker_stand_still,
    "TorchServe stands still for 3 s": have_torchserve_stand_still,
    "TorchServe stands still for good": have_torchserve_stand_still_for_good,
    "TorchServe's key is replaced": have_the_key_replaced,
    "the key file is lost": lose_the_key_file,
    "200 connections that send nothing": have_callers_come_who_send_nothing,
    "20 callers who leave their streams": have_callers_come_who_leave,
    "other work takes all cores": take_the_cores,
}


def make_faults(faults: Mapping[str, Callable[[Served], None]], rounds: int, directory: Path) -> dict[str, Calls]:
    """Each `rounds` times, in a server of each round's own."""
    fates: dict[str, Counter[Fate]] = {name: Counter() for name in faults}
    for number in range(rounds):
        own = directory / f"round-{number}"
        own.mkdir()
        with serving_tiny(own) as served:
            for name, fault in faults.items():
                served.wait_until_ready()
                with calling(served.url) as callers:
                    _make(fault, served, callers)
                fates[name] += callers.fates
    return {name: Calls(rounds, fates[name]) for name in faults}


def _make(fault: Callable[[Served], None], served: Served, callers: Callers) -> None:
    """Amid calls: some end before it, and some begin after it."""
    callers.wait_for_more()
    fault(served)
    served.wait_until_ready()
    callers.wait_for_more()


def _stand_still(process: psutil.Process) -> None:
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
    time.sleep(_STANDSTILL)
    process.resume()
