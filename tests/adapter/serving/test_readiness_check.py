"""A gateway that is asked by its own process, with the certificate that it has for others."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from adapter.serving.readiness_check import check_readiness
from tests.certificates import Authority, Pair


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Authority(tmp_path).issue(tmp_path / "served")


@pytest.fixture
def url(pair: Pair) -> Iterator[str]:
    """By an address that is not in the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_known_by_its_certificate_at_whatever_address(url: str, pair: Pair) -> None:
    check_readiness(url, pair.certificate)


def test_another_certificate_is_not_its_own(url: str, tmp_path: Path) -> None:
    another = Authority(tmp_path).issue(tmp_path / "another")
    with pytest.raises(requests.exceptions.SSLError):
        check_readiness(url, another.certificate)
