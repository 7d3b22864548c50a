"""Debian's nginx with the configuration of deploy/, before gateways of this machine."""

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.debian_packages import installed_program
from tests.free_ports import free_port
from tests.project import PROJECT
from tests.waiting import PATIENCE, wait_until

CONFIG = PROJECT / "deploy" / "nginx" / "nginx.conf"
_SERVER = re.compile(r"^ *server [\d.]+:\d+ (.*;)\n", re.MULTILINE)


def nginx_program() -> str | None:
    """None where there is none, and none can be had."""
    return installed_program("nginx", "nginx")


@contextmanager
def running_nginx(directory: Path, gateway_ports: Sequence[int]) -> Iterator[str]:
    """Its address."""
    program, port = nginx_program(), free_port()
    assert program is not None
    config = directory / "nginx.conf"
    config.write_text(_of_this_machine(CONFIG.read_text(), port, gateway_ports))
    settings = f"daemon off; master_process off; pid {directory}/nginx.pid;"
    command = [program, "-p", str(directory), "-c", str(config), "-e", "stderr", "-g", settings]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _of_this_machine(config: str, port: int, gateway_ports: Sequence[int]) -> str:
    [options] = set(_SERVER.findall(config))
    servers = "".join(f"server 127.0.0.1:{each} {options}\n" for each in gateway_ports)
    config = _SERVER.sub("", config).replace("least_conn;", f"least_conn;\n{servers}")
    return config.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("http {", "http {\naccess_log off;", 1)


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
        return True
    return False
