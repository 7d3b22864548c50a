"""A registry in memory, for what Debian's does not do: it lists referrers, asks for tokens, and gives no parts."""

import hashlib
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_TOKEN_ADDRESS = "/token"


@dataclass
class FakeRegistry:
    """`login`: user:password, for which it gives tokens, or None where it asks for none."""

    has_referrers: bool = True
    gives_parts: bool = True
    login: str | None = None
    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    _until_rubbish: int | None = None
    _rubbish: bytes = b""

    def answer_once(self, place: int | None, rubbish: bytes = b"") -> None:
        """In place of its own answer, after so many others, and then as before; None: never."""
        self._until_rubbish, self._rubbish = place, rubbish

    def next_rubbish(self) -> bytes | None:
        if self._until_rubbish is None:
            return None
        self._until_rubbish -= 1
        if self._until_rubbish >= 0:
            return None
        self._until_rubbish = None
        return self._rubbish

    def referrers(self, digest: str) -> bytes:
        found = []
        for name, (media_type, content) in self.manifests.items():
            manifest = json.loads(content)
            if name.startswith("sha256:") and manifest.get("subject", {}).get("digest") == digest:
                entry = {"mediaType": media_type, "digest": name, "size": len(content)}
                found.append(entry | {"artifactType": manifest["artifactType"]})
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
        return json.dumps(index).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def parse_request(self) -> bool:
        is_one = super().parse_request()
        if not is_one or (rubbish := self.registry.next_rubbish()) is None:
            return is_one
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.wfile.write(rubbish)
        self.close_connection = True
        return False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith(_TOKEN_ADDRESS):
            self._give_token()
        elif self._may("pull"):
            self._give()

    def do_POST(self) -> None:
        if self._may("pull,push"):
            self._answer(202, headers={"Location": f"{urlsplit(self.path).path}upload?_state=1"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may("pull,push"):
            return
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "/blobs/" in self.path:
            assert parse_qs(urlsplit(self.path).query)["digest"] == [digest]
            self.registry.blobs[digest] = content
            self._answer(201)
            return
        for name in {digest, self._name()}:
            self.registry.manifests[name] = (self.headers["Content-Type"], content)
        has_subject = self.registry.has_referrers and "subject" in json.loads(content)
        self._answer(201, headers={"OCI-Subject": "seen"} if has_subject else {})

    def _give(self) -> None:
        name, registry = self._name(), self.registry
        if "/manifests/" in self.path and name in registry.manifests:
            media_type, content = registry.manifests[name]
            self._answer(200, content, {"Content-Type": media_type})
        elif "/referrers/" in self.path and registry.has_referrers:
            self._answer(200, registry.referrers(name))
        elif "/blobs/" in self.path and name in registry.blobs:
            self._answer_with_part(registry.blobs[name])
        else:
            self._answer(404)

    def _answer_with_part(self, content: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None or not self.registry.gives_parts:
            self._answer(200, content)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self._answer(206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})

    def _name(self) -> str:
        return urlsplit(self.path).path.rpartition("/")[2]

    def _may(self, actions: str) -> bool:
        if self.registry.login is None or self.headers.get("Authorization") == f"Bearer {actions}":
            return True
        repository = self.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        realm = f'realm="https://{self.registry.host}{_TOKEN_ADDRESS}",service="fake"'
        self._answer(401, headers={"WWW-Authenticate": f'Bearer {realm},scope="repository:{repository}:{actions}"'})
        return False

    def _give_token(self) -> None:
        assert self.registry.login is not None
        expected = f"Basic {b64encode(self.registry.login.encode()).decode()}"
        if self.headers.get("Authorization") != expected:
            self._answer(401)
            return
        (scope,) = parse_qs(urlsplit(self.path).query)["scope"]
        self.registry.scopes.append(scope)
        self._answer(200, json.dumps({"token": scope.rpartition(":")[2]}).encode())

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running_fake_registry(
    registry: FakeRegistry, certificate: tuple[Path, Path] | None = None
) -> Iterator[FakeRegistry]:
    """With TLS where it has a certificate and a key."""
    handler = type("Handler", (_Handler,), {"registry": registry})
    with _Server(("127.0.0.1", 0), handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
