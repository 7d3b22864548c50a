"""Debian's Prometheus with the configuration and the rules of deploy/, before gateways of this machine."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.debian_packages import installed_program
from tests.free_ports import free_port
from tests.project import PROJECT
from tests.waiting import PATIENCE, wait_until

DIRECTORY = PROJECT / "deploy" / "prometheus"
RULES = DIRECTORY / "torchbridge.rules.yml"
_INTERVAL = "500ms"


def prometheus_program(name: str = "prometheus") -> str | None:
    """None where there is none, and none can be had."""
    return installed_program(name, "prometheus")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that it has for it now, without those that are no number."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=PATIENCE)
        content = answer.json()
        assert content["status"] == "success", (expression, content)
        found: list[dict[str, Any]] = content["data"]["result"]
        return [each for each in found if each["value"][1] != "NaN"]

    def between(self, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
        """The values of every other second, in Unix time."""
        about = {"query": expression, "start": begin, "end": end, "step": 2}
        content = requests.get(f"{self.url}/api/v1/query_range", params=about, timeout=PATIENCE).json()
        found: list[dict[str, Any]] = content["data"]["result"]
        return found

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        wait_until(lambda: bool(self.query(expression)))
        return self.query(expression)


@contextmanager
def running_prometheus(directory: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """It looks at `targets` (host and port) as at gateways, twice a second."""
    program, port = prometheus_program(), free_port()
    assert program is not None
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump(_of_this_machine(yaml.safe_load((DIRECTORY / config.name).read_text()), targets)))
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}", "--log.level=error"]
    with subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"]) as process:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: _is_ready(prometheus))
            yield prometheus
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _of_this_machine(config: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    [job] = config["scrape_configs"]
    return {
        "global": {"scrape_interval": _INTERVAL, "scrape_timeout": _INTERVAL, "evaluation_interval": _INTERVAL},
        "rule_files": [str(DIRECTORY / name) for name in config["rule_files"]],
        "scrape_configs": [dict(job) | {"static_configs": [{"targets": list(targets)}]}],
    }


def _is_ready(prometheus: Prometheus) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{prometheus.url}/-/ready", timeout=PATIENCE).ok
    return False
