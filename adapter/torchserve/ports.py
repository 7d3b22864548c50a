"""Checks before a start that the addresses that it needs are free, or finds free ones."""

import contextlib
import errno
import random
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from adapter.torchserve.properties import PropertiesError

_TORCHSERVE_ADDRESSES = {
    "inference_address": "TorchServe's inference API",
    "management_address": "TorchServe's management API",
    "metrics_address": "TorchServe's metrics",
    "grpc_inference_port": "TorchServe's gRPC inference API",
    "grpc_management_port": "TorchServe's gRPC management API",
}
# Below those that Linux gives to outgoing connections and to port 0 (net.ipv4.ip_local_port_range): nobody is given one
# of them between the choice and TorchServe's start.
_PORTS_TO_CHOOSE_FROM = range(16_384, 32_768)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class PortInUse(OSError):
    """The message names the port, what it is for, and what to do."""


class AddressUnusable(OSError):
    """The message names the host or the port, and says why nothing can listen there."""


def bind(host: str, port: int, purpose: str, remedy: str) -> socket.socket:
    """A socket that holds the address for itself alone, but does not listen yet: see `share_address`."""
    # asyncio turns Nagle's algorithm off where the socket names its protocol: with it, an answer waits for 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:  # so that :: is every address of IPv4, too, whatever the system's own default
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, port))
    except (OSError, TypeError) as error:
        listener.close()
        raise _refusal(error, host, port, purpose, remedy) from error
    # Linux lets sockets share an address until one of them listens, if each allows it (inet_csk_bind_conflict).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return listener


def share_address(listener: socket.socket) -> None:
    """Call it just before listening: without it the connections that end last keep the address from the next start."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _refusal(error: OSError | TypeError, host: str, port: int, purpose: str, remedy: str) -> OSError:
    if isinstance(error, TypeError):  # a name that cannot be encoded (socketmodule.c, idna_converter)
        return AddressUnusable(f"{host!r}, for {purpose}, cannot be the name of a machine.")
    where = f"Port {port} of {host}, for {purpose}, cannot be used: {error.strerror}."
    if isinstance(error, socket.gaierror):
        return AddressUnusable(f"{host!r}, for {purpose}, is no name that this machine knows: {error.strerror}.")
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressUnusable(f"{where} {host} is not an address of this machine.")
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{where} Stop what listens there (another torchbridge serve?), or {remedy}.")
    return AddressUnusable(f"{where} To have another one, {remedy}.")


def check_torchserve_ports(properties: Mapping[str, str]) -> None:
    for key, purpose in _TORCHSERVE_ADDRESSES.items():
        host, port = _address(properties, key)
        bind(host, port, purpose, f"change {key} in config.properties").close()


def free_addresses() -> dict[str, str]:
    """Overrides of config.properties: addresses of this machine, none of which was in use when it was chosen."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(_server_at_a_free_port()) for _ in _TORCHSERVE_ADDRESSES]
        return addresses_at(server.getsockname()[1] for server in servers)


def addresses_at(ports: Iterable[int]) -> dict[str, str]:
    """Overrides of config.properties: addresses of this machine, one for each of TorchServe's five servers."""
    return {
        key: str(port) if key.endswith("_port") else f"http://127.0.0.1:{port}"
        for key, port in zip(_TORCHSERVE_ADDRESSES, ports, strict=True)
    }


def _server_at_a_free_port() -> socket.socket:
    for port in random.sample(_PORTS_TO_CHOOSE_FROM, len(_PORTS_TO_CHOOSE_FROM)):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise PortInUse("No port between 16384 and 32767 is free.")


def _address(properties: Mapping[str, str], key: str) -> tuple[str, int]:
    value = _value(properties, key)
    if key.endswith("_port"):
        if not value.isdecimal():
            raise PropertiesError(f"TorchServe's configuration has {value!r} as {key}: it must be a number.")
        return _value(properties, key.removesuffix("port") + "address"), int(value)
    try:
        url = urlsplit(value)
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    except (ValueError, KeyError):
        url, port = urlsplit(""), 0
    if not url.hostname:
        raise PropertiesError(
            f"TorchServe's configuration has {value!r} as {key}: it must be like http://127.0.0.1:8080."
        )
    return url.hostname, port


def _value(properties: Mapping[str, str], key: str) -> str:
    if not properties.get(key):
        raise PropertiesError(f"TorchServe's configuration has no {key}: take that of config.properties.")
    return properties[key]
