"""Whether the addresses that a start needs are free, said before anything is started, or others that are."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.parse import urlsplit

_TORCHSERVE_ADDRESSES = {
    "inference_address": "TorchServe's inference API",
    "management_address": "TorchServe's management API",
    "metrics_address": "TorchServe's metrics",
    "grpc_inference_port": "TorchServe's gRPC inference API",
    "grpc_management_port": "TorchServe's gRPC management API",
}


class PortInUse(OSError):
    """The message names the port, what it is for, and what to do."""


def bind(host: str, port: int, purpose: str, remedy: str) -> socket.socket:
    """A socket that holds the address, but does not listen yet."""
    # asyncio turns Nagle's algorithm off where the socket names its protocol: with it, an answer waits for 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"Port {port} of {host}, for {purpose}, cannot be used: {error.strerror}. "
            f"Stop what listens there (another torchbridge serve?), or {remedy}."
        ) from error
    return listener


def check_torchserve_ports(properties: Mapping[str, str]) -> None:
    for key, purpose in _TORCHSERVE_ADDRESSES.items():
        host, port = _address(properties, key)
        bind(host, port, purpose, f"change {key} in config.properties").close()


def free_addresses() -> dict[str, str]:
    """Overrides of config.properties: addresses of this machine, none of which was in use when it was chosen."""
    with ExitStack() as held:
        servers = {key: held.enter_context(socket.create_server(("127.0.0.1", 0))) for key in _TORCHSERVE_ADDRESSES}
        ports = {key: server.getsockname()[1] for key, server in servers.items()}
    return {key: str(port) if key.endswith("_port") else f"http://127.0.0.1:{port}" for key, port in ports.items()}


def _address(properties: Mapping[str, str], key: str) -> tuple[str, int]:
    if key.endswith("_port"):
        return properties[key.removesuffix("port") + "address"], int(properties[key])
    url = urlsplit(properties[key])
    return url.hostname or "", url.port or 0
