"""Addresses for a TorchServe of a test, none of which was in use when it was chosen."""

import socket
from contextlib import ExitStack

_HTTP = ("inference_address", "management_address", "metrics_address")
_GRPC = ("grpc_inference_port", "grpc_management_port")


def torchserve_properties() -> dict[str, str]:
    """Overrides of config.properties."""
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in (*_HTTP, *_GRPC)]
        ports = [server.getsockname()[1] for server in servers]
    http = {name: f"http://127.0.0.1:{port}" for name, port in zip(_HTTP, ports, strict=False)}
    grpc = {name: str(port) for name, port in zip(_GRPC, ports[len(_HTTP) :], strict=True)}
    return http | grpc
