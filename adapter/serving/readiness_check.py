"""Whether a gateway of this process is ready, asked as a caller asks it."""

import ssl
import time
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_READY_TIMEOUT = 30  # seconds
_SECONDS_BETWEEN_LOOKS = 0.5


def check_readiness(url: str, certificate: Path | None = None) -> None:
    """Raises requests.RequestException. `certificate` is the gateway's own, where it has one.

    Asks more than once: /readyz does not wait for a token of a slow model as long as a request does.
    """
    deadline = time.monotonic() + _READY_TIMEOUT
    with requests.Session() as session:
        session.trust_env = False  # a proxy has no business within this machine
        if certificate is not None:
            session.verify = str(certificate)
            session.mount("https://", _ByItsCertificate())
        while True:
            response = session.get(f"{url}/readyz", timeout=_READY_TIMEOUT)
            if response.ok or time.monotonic() >= deadline:
                response.raise_for_status()
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)


class _ByItsCertificate(HTTPAdapter):
    """Trusts the gateway's own certificate at whatever address: others call the gateway by its name."""

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the root is not among what a server sends
        super().init_poolmanager(*arguments, **settings, ssl_context=context, assert_hostname=False)
