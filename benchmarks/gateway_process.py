"""The gateway alone, as `torchbridge serve` runs it, over the TorchServe that TORCHBRIDGE_* name."""

from adapter.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind


def main() -> None:
    settings = Settings()
    with bind(settings.host, settings.port, "the gateway", "choose another one") as listener:
        GatewayServer(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
