"""A container's health check, `python -m adapter.health_check`: can the gateway answer?

`torchbridge serve` is asked at its control socket, so wherever it listens, with TLS as without. `torchbridge simulate`
has none and is asked at its port.
"""

import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from adapter.control.unix_connection import SOCKET_NAME, UnixConnection
from adapter.installation import INSTALLATION

_TIMEOUT = 9.0  # seconds: /readyz may wait five of them for a token
_DEFAULT_PORT = 8_000


def is_healthy(environment: Mapping[str, str]) -> bool:
    """`environment`: that of the server."""
    return any(map(_is_ready, _connections(environment)))


def _connections(environment: Mapping[str, str]) -> Iterator[HTTPConnection]:
    directory = Path(environment.get("TORCHBRIDGE_RUN_DIRECTORY") or INSTALLATION.state)
    yield UnixConnection(directory / SOCKET_NAME, _TIMEOUT)
    port = int(environment.get("TORCHBRIDGE_PORT") or _DEFAULT_PORT)
    if environment.get("TORCHBRIDGE_TLS_CERTIFICATE"):
        yield HTTPSConnection("localhost", port, timeout=_TIMEOUT, context=_of_any_name())
    else:
        yield HTTPConnection("localhost", port, timeout=_TIMEOUT)


def _of_any_name() -> ssl.SSLContext:
    """Checks no name: the certificate has the callers' name for the gateway, and here it asks itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_ready(connection: HTTPConnection) -> bool:
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_healthy(os.environ))
