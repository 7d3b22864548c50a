"""Debian's HAProxy before gateways: it keeps its connections to them, and looks whether they are there."""

import csv
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.debian_packages import installed_program
from tests.waiting import PATIENCE, wait_until

# A server that refuses a connection is tried again after a second, or another one at once: the defaults but for
# `redispatch` and the number of times. What has reached a server is never sent again.
CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 600s
    timeout queue 60s
    timeout http-keep-alive 60s
    option redispatch 1
    retries {retries}
    timeout check 60s
    default-server check inter 500ms {server_options}
frontend callers
    bind 127.0.0.1:{port}
    default_backend gateways
frontend statistics
    bind 127.0.0.1:{statistics_port}
    stats enable
    stats uri /
backend gateways
    balance leastconn
    http-reuse always
    option httpchk {check}
"""


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
    check: str = "",
    retries: int = 3,
    server_options: str = "",
) -> Iterator[HAProxy]:
    """Its servers are called gateway-0 and so on. `ports` are for itself and for its statistics."""
    program = haproxy_program()
    assert program is not None
    config = directory / "haproxy.cfg"
    lines = CONFIG.format(
        port=ports[0], statistics_port=ports[1], check=check, retries=retries, server_options=server_options
    )
    servers = (f"    server gateway-{index} 127.0.0.1:{port}\n" for index, port in enumerate(gateway_ports))
    config.write_text(lines + "".join(servers))
    with subprocess.Popen([program, "-db", "-f", str(config)]) as process:
        try:
            haproxy = HAProxy(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/;csv")
            wait_until(lambda: _all_are_up(haproxy, len(gateway_ports)))
            yield haproxy
        finally:
            process.terminate()


def _all_are_up(haproxy: HAProxy, num_servers: int) -> bool:
    with suppress(requests.ConnectionError):
        return all(haproxy.is_up(f"gateway-{index}") for index in range(num_servers))
    return False
