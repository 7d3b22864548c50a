"""The gateway alone, as `torchbridge serve` runs it, over a TorchServe that is there; without its cache."""

import sys
from pathlib import Path

from adapter.archives.archive import PROJECT
from adapter.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from benchmarks.server_process import ServerProcess, answers


def gateway_over(inference_url: str, management_url: str, key_file: Path) -> ServerProcess:
    environment = {
        "TORCHBRIDGE_PORT": "{port}",
        "TORCHBRIDGE_TORCHSERVE_URL": inference_url,
        "TORCHBRIDGE_MANAGEMENT_URL": management_url,
        "TORCHBRIDGE_KEY_FILE": str(key_file),
        "TORCHBRIDGE_CACHE_MAX_AGE": "0",
    }
    command = [sys.executable, "-m", "benchmarks.gateway_process"]
    return ServerProcess("gateway", command, is_ready=answers("/health"), environment=environment, directory=PROJECT)


def main() -> None:
    settings = Settings()
    with bind(settings.host, settings.port, "the gateway", "choose another one") as listener:
        GatewayServer(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
