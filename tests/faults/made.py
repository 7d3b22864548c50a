"""Faults that can be made while `torchbridge serve` serves: when a function returns, its fault has happened."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil

from tests.end_to_end.own_serve import Served
from tests.waiting import wait_until

_STANDSTILL = 3.0  # seconds
_MANY = 200


def nothing(_: Served) -> None:
    """What there is without a fault."""


def kill_the_worker(served: Served) -> None:
    _kill(served.worker())


def kill_torchserve(served: Served) -> None:
    _kill(served.java())


def kill_the_launcher(served: Served) -> None:
    """TorchServe ends with it."""
    java = served.java()
    launcher = java.parent()
    assert launcher is not None
    _kill(launcher)
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
    """The gateway, which knows how to ask, has TorchServe write it anew."""
    served.keys.path.unlink()
    wait_until(served.keys.path.exists)


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


def take_the_memory(served: Served) -> None:
    """Of the worker: it has what it has, and gets no more."""
    worker = served.worker()
    with _limited(lambda: [worker], psutil.RLIMIT_AS, worker.memory_info().vms):
        time.sleep(_STANDSTILL)


def fill_the_disk(served: Served) -> None:
    """No file may grow, whoever of them writes."""
    with _limited(served.processes, psutil.RLIMIT_FSIZE, 0):
        time.sleep(_STANDSTILL)


def take_the_gateways_descriptors(served: Served) -> None:
    gateway = served.gateway()
    with _limited(lambda: [gateway], psutil.RLIMIT_NOFILE, gateway.num_fds()):
        time.sleep(_STANDSTILL)


def take_torchserves_descriptors(served: Served) -> None:
    java = served.java()
    with _limited(lambda: [java], psutil.RLIMIT_NOFILE, java.num_fds()):
        time.sleep(_STANDSTILL)


FAULTS: Mapping[str, Callable[[Served], None]] = {
    "no fault": nothing,
    "kill -9 of the worker": kill_the_worker,
    "kill -9 of TorchServe": kill_torchserve,
    "kill -9 of TorchServe's launcher": kill_the_launcher,
    "the worker stands still for 3 s": have_the_worker_stand_still,
    "TorchServe stands still for 3 s": have_torchserve_stand_still,
    "TorchServe stands still for good": have_torchserve_stand_still_for_good,
    "TorchServe's key is replaced": have_the_key_replaced,
    "the key file is lost": lose_the_key_file,
    "200 connections that send nothing": have_callers_come_who_send_nothing,
    "20 callers who leave their streams": have_callers_come_who_leave,
    "other work takes all cores": take_the_cores,
    "the worker gets no more memory for 3 s": take_the_memory,
    "nothing can be written for 3 s": fill_the_disk,
    "the gateway has no descriptors for 3 s": take_the_gateways_descriptors,
    "TorchServe has no descriptors for 3 s": take_torchserves_descriptors,
}


def _kill(process: psutil.Process) -> None:
    process.kill()
    wait_until(lambda: _has_ended(process))


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # since the first look
        return True


def _stand_still(process: psutil.Process) -> None:
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
    time.sleep(_STANDSTILL)
    process.resume()


@contextmanager
def _limited(processes: Callable[[], list[psutil.Process]], limit: int, most: int) -> Iterator[None]:
    """What was started under the limit is freed of it, too."""
    limited = processes()
    before = limited[0].rlimit(limit)
    _limit(limited, limit, (most, before[1]))
    try:
        yield
    finally:
        _limit(processes(), limit, before)


def _limit(processes: list[psutil.Process], limit: int, limits: tuple[int, int]) -> None:
    for process in processes:
        if process.is_running():
            process.rlimit(limit, limits)
