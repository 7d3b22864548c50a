"""Debian's HAProxy with the configuration of deploy/, before gateways of this machine."""

import csv
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.debian_packages import installed_program
from tests.project import PROJECT
from tests.waiting import PATIENCE, wait_until

CONFIG = PROJECT / "deploy" / "haproxy" / "haproxy.cfg"
READINESS = "GET /readyz"
_RETRIES, FALL, CHECK_SECONDS = 3, 2, 10


@dataclass(frozen=True)
class HAProxy:
    url: str
    _statistics_url: str

    def is_up(self, server: str) -> bool:
        """By its checks."""
        lines = requests.get(self._statistics_url, timeout=PATIENCE).text.removeprefix("# ").splitlines()
        return any(line["svname"] == server and line["status"].startswith("UP") for line in csv.DictReader(lines))


def haproxy_program() -> str | None:
    """None where there is none, and none can be had."""
    return installed_program("haproxy", "haproxy")


@contextmanager
def running_haproxy(
    directory: Path,
    gateway_ports: Sequence[int],
    *,
    ports: tuple[int, int],
    check: str = READINESS,
    retries: int = _RETRIES,
    fall: int = FALL,
    check_seconds: int = 60,
) -> Iterator[HAProxy]:
    """Its servers are called gateway-0 and so on. `ports` are for itself and for its statistics.

    Its checks wait for a machine that stalls, unless `check_seconds` are those of the configuration.
    """
    program = haproxy_program()
    assert program is not None
    config = directory / "haproxy.cfg"
    config.write_text(_config(gateway_ports, check=check, retries=retries, fall=fall, check_seconds=check_seconds))
    addresses = [f"127.0.0.1:{port}" for port in ports]
    named = dict(zip(("TORCHBRIDGE_BIND", "TORCHBRIDGE_STATISTICS"), addresses, strict=True))
    with subprocess.Popen([program, "-db", "-f", str(config)], env=os.environ | named) as process:
        try:
            haproxy = HAProxy(f"http://{addresses[0]}", f"http://{addresses[1]}/;csv")
            wait_until(lambda: _all_are_up(haproxy, len(gateway_ports)))
            yield haproxy
        finally:
            process.terminate()


def _config(gateway_ports: Sequence[int], *, check: str, retries: int, fall: int, check_seconds: int) -> str:
    """Ours, but for its servers and what a test wants otherwise."""
    text = "".join(line for line in CONFIG.read_text().splitlines(keepends=True) if not line.startswith("    server "))
    for ours, other in (
        (f"timeout check {CHECK_SECONDS}s", f"timeout check {check_seconds}s"),
        (f"retries {_RETRIES}\n", f"retries {retries}\n"),
        (f"option httpchk {READINESS}", f"option httpchk {check}"),
        (f"fall {FALL} ", f"fall {fall} "),
    ):
        assert text.count(ours) == 1
        text = text.replace(ours, other)
    return text + "".join(f"    server gateway-{index} 127.0.0.1:{port}\n" for index, port in enumerate(gateway_ports))


def _all_are_up(haproxy: HAProxy, num_servers: int) -> bool:
    with suppress(requests.ConnectionError):
        return all(haproxy.is_up(f"gateway-{index}") for index in range(num_servers))
    return False
