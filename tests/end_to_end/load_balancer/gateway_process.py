"""The gateway alone, in a process of its own, as `torchbridge serve` has it; TORCHBRIDGE_* name its TorchServe."""

from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind, share_address

if __name__ == "__main__":
    settings = Settings()
    with bind(settings.host, settings.port, "the gateway", "") as listener:
        share_address(listener)
        GatewayServer(settings).run(sockets=[listener])
