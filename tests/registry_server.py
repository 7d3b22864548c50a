"""Debian's docker-registry on loopback: a real one, which has no API for referrers."""

import json
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import write_self_signed
from tests.debian_packages import installed_program
from tests.free_ports import free_port
from tests.waiting import wait_until

USER, PASSWORD = "alice", "open-sesame"
_PASSWORDS = f"{USER}:$2b$04$IVvAfThtiXb7/EIUY8mvd.d75Di6I9zXFg6JLzq6RyW5psOjqMeRC\n"  # what `htpasswd -B` writes


@dataclass(frozen=True)
class RegistryServer:
    """`storage`: what it keeps on the disk. `certificate`: whom to trust, where it speaks TLS."""

    host: str
    storage: Path
    certificate: Path | None

    def reference(self, name: str) -> str:
        return f"oci://{self.host}/{name}"

    def blob(self, digest: str) -> Path:
        value = digest.removeprefix("sha256:")
        return self.storage / "docker" / "registry" / "v2" / "blobs" / "sha256" / value[:2] / value / "data"


@contextmanager
def running_registry(
    directory: Path, *, has_tls: bool = False, asks_for_password: bool = False
) -> Iterator[RegistryServer]:
    """Skips the test where there is no registry, and none can be had."""
    program = installed_program("docker-registry", "docker-registry")
    if program is None:
        pytest.skip("there is no docker-registry")
    directory.mkdir(parents=True, exist_ok=True)
    storage, host = directory / "storage", f"127.0.0.1:{free_port()}"
    http: dict[str, Any] = {"addr": host, "secret": "of the tests"}
    certificate = None
    if has_tls:
        certificate, key = write_self_signed(directory / "tls")
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": http,
    }
    if asks_for_password:
        (directory / "htpasswd").write_text(_PASSWORDS)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    (directory / "config.yml").write_text(json.dumps(config))
    with subprocess.Popen(
        [program, "serve", str(directory / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: _listens(host, process))
            yield RegistryServer(host, storage, certificate)
        finally:
            process.terminate()


def write_login(path: Path, host: str, password: str = PASSWORD) -> Path:
    """As `docker login` keeps it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": {host: {"auth": b64encode(f"{USER}:{password}".encode()).decode()}}}))
    return path


def _listens(host: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the registry has ended"
    address, _, port = host.partition(":")
    with suppress(ConnectionRefusedError), socket.create_connection((address, int(port)), timeout=30):
        return True
    return False
