"""Starts gateway_process.py, which itself imports nothing but the gateway: its memory is measured."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.project import PROJECT
from benchmarks.server_process import ServerProcess, answers


def gateway_over(
    inference_url: str, management_url: str, key_file: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> ServerProcess:
    """The gateway over a TorchServe that is there, without its response cache. `variables`: of its environment."""
    environment = {
        "TORCHBRIDGE_PORT": "{port}",
        "TORCHBRIDGE_TORCHSERVE_URL": inference_url,
        "TORCHBRIDGE_MANAGEMENT_URL": management_url,
        "TORCHBRIDGE_KEY_FILE": str(key_file),
        "TORCHBRIDGE_CACHE_MAX_AGE": "0",
        **variables,
    }
    command = [sys.executable, "-m", "benchmarks.gateway_process"]
    return ServerProcess("gateway", command, is_ready=answers("/health"), environment=environment, directory=PROJECT)
