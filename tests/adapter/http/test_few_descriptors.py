"""A gateway, in a process of its own with few file descriptors, among connections that nobody uses."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.adapter.http.gateway_with_few_descriptors import NUM_DESCRIPTORS
from tests.waiting import PATIENCE, wait_until

Gateway = subprocess.Popen[str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def gateway(log: Path) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "tests.adapter.http.gateway_with_few_descriptors"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    with process:
        yield process
        process.kill()


@pytest.fixture
def port(gateway: Gateway) -> int:
    return int(gateway.stdout.readline())


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setblocking(False)
    return connection


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"POST /generate HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{"])
def test_connections_that_nobody_uses_keep_nobody_out(port: int, log: Path, sent: bytes) -> None:
    with contextlib.ExitStack() as open_connections:
        idle = [open_connections.enter_context(connect(port)) for _ in range(400)]
        for connection in idle:
            with contextlib.suppress(OSError):
                connection.send(sent)
        wait_until(lambda: sum(map(is_closed, idle)) > len(idle) - NUM_DESCRIPTORS // 2)
        assert not all(map(is_closed, idle))  # the gateway is as full as it may be
        assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=PATIENCE).json() == {"status": "ok"}
    lines = log.read_text().splitlines()
    assert [line for line in lines if "no more can be" in line] == lines[:1]
    assert len([line for line in lines if "Traceback" in line]) == 0


def test_descriptors_that_are_gone_are_said_in_one_line(port: int, gateway: Gateway, log: Path) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=PATIENCE).status_code == 200
    gateway.stdin.write("take\n")
    gateway.stdin.flush()
    assert int(gateway.stdout.readline()) > 0
    with contextlib.ExitStack() as open_connections:
        for _ in range(5):  # fewer than may wait to be accepted
            open_connections.enter_context(connect(port))
        wait_until(lambda: log.read_text() != "")
        gateway.stdin.write("give back\n")
        gateway.stdin.flush()
        assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=PATIENCE).json() == {"status": "ok"}
    (line,) = log.read_text().splitlines()
    assert line.endswith("no connection can be accepted: Too many open files")
