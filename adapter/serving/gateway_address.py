"""Where a gateway listens."""

import ipaddress
import socket

from adapter.settings import Settings


def is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket, settings: Settings) -> str:
    """Where the gateway can be called from this machine."""
    host, port, *_ = listener.getsockname()
    address = ipaddress.ip_address(host)
    if address.is_unspecified:  # it listens at every address, but this is none to call
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - IPv4
    name = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    return f"{'https' if settings.tls_certificate else 'http'}://{name}:{port}{settings.root_path}"
