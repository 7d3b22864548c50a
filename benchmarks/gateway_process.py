"""The gateway alone, as `torchbridge serve` runs it, over the TorchServe that TORCHBRIDGE_* name."""

from adapter.process.thread_priority import give_way
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind


def main() -> None:
    settings = Settings()
    with bind(settings.host, settings.port, "the gateway", "choose another one") as listener:
        if settings.engine_first:
            give_way()
        GatewayServer(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
