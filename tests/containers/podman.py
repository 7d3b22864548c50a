"""Debian's podman, on a machine without systemd and with few rights, as CI's often is."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.free_ports import free_port
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

# crun and runc raise limits to podman's own defaults otherwise, which takes rights that a container may lack.
_SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:{files}", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def is_there() -> bool:
    return os.geteuid() == 0 and all(map(shutil.which, ("buildah", "podman", "runc", "iptables")))


class Podman:
    def __init__(self, directory: Path) -> None:
        settings = directory / "containers.conf"
        settings.write_text(_SETTINGS.format(files=min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20_000)))
        self._environment = os.environ | {"CONTAINERS_CONF": str(settings)}
        self._directory = directory  # conmon leaves a file where it was started, when a container's memory runs out

    def run(self, *arguments: str, check: bool = True, timeout: float = 600) -> str:
        """What the command prints."""
        done = subprocess.run(
            ["podman", *arguments],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        [found] = json.loads(self.run(kind, "inspect", name))
        assert isinstance(found, dict)
        return found

    @contextmanager
    def container(
        self, image: str, *command: str, options: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
    ) -> Iterator["Container"]:
        """Started as an operator with care does: nothing may be written, and no rights are there to be taken."""
        port = free_port()
        given = [option for name, value in (variables or {}).items() for option in ("--env", f"{name}={value}")]
        locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        identity = self.run(
            *("run", "--detach", "--no-healthcheck", "--pids-limit", "400", "--publish", f"127.0.0.1:{port}:8000"),
            *(*locked, *given, *options, image, *command),
        ).split()[-1]
        try:
            yield Container(self, identity, f"http://127.0.0.1:{port}")
        finally:
            self.run("rm", "--force", "--volumes", "--time", "1", identity, check=False)


class Container:
    def __init__(self, podman: Podman, identity: str, url: str) -> None:
        self._podman = podman
        self.identity = identity
        self.url = url

    @property
    def logs(self) -> str:
        return self._podman.run("logs", self.identity)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._podman.inspect("container", self.identity)["State"]
        return state

    def execute(self, *command: str) -> str:
        return self._podman.run("exec", self.identity, *command)

    def stop(self, seconds: int) -> None:
        """SIGTERM, and SIGKILL after so many seconds."""
        self._podman.run("stop", "--time", str(seconds), self.identity)

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready_or_ended, PATIENCE_WITH_WORKERS)
        assert self.state["Status"] == "running", self.logs

    def wait_until_ended(self) -> int:
        wait_until(lambda: self.state["Status"] == "exited", PATIENCE_WITH_WORKERS)
        code: int = self.state["ExitCode"]
        return code

    def _is_ready_or_ended(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).ok
        except requests.RequestException:
            return self.state["Status"] != "running"
