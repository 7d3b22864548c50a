"""One repository of a registry, over python-dxf: uploads from the file, tokens by scope, no password without TLS.

oras-py was read and left: it holds a blob in memory, retries all for minutes and keeps a token of the wrong scope.
"""

import io
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests
from dxf import DXF, DXFBase

from adapter.artifacts.credentials import find_login
from adapter.artifacts.errors import ArtifactError, in_words
from adapter.artifacts.manifest import INDEX_TYPE, MANIFEST_TYPE, Descriptor, digest_of
from adapter.artifacts.reference import ArtifactReference, is_loopback, split_host

_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_COMMIT_SECONDS = 900  # a registry may copy a large blob within its storage before it says that it has it
_PROBE_SECONDS = 10
_HTTPS_PORT = 443
_USER_AGENT = "torchbridge"
_SHA256 = "sha256:"
_MOST_SMALL_BYTES = 4 * 2**20  # the size of a manifest that the specification asks registries to take
_BLOCK_BYTES = 2**16


class Repository(DXF):
    """A context manager: within it one session is used. Its methods raise ArtifactError."""

    def __init__(self, reference: ArtifactReference) -> None:
        self.reference = reference
        self._answers: list[requests.Response] = []
        super().__init__(
            reference.host,
            reference.repository,
            self._log_in,
            insecure=is_loopback(reference.host) and not _speaks_tls(reference.host),
            tlsverify=_trusted_certificates(),
            timeout=_READ_SECONDS,
        )

    def __enter__(self) -> Self:
        session = requests.Session()
        session.auth = _nobody  # otherwise a password of .netrc would take the place of a token
        session.hooks["response"] = [self._keep]
        session.trust_env = not is_loopback(self.reference.host)  # a proxy has no business within this machine
        self._sessions.insert(0, session)
        return self

    def __exit__(self, *exception: object) -> None:
        """Also ends the connections of answers that were not read, such as failures: the session does not know them."""
        for answer in self._answers:
            answer.close()
        super().__exit__(*exception)

    def _keep(self, answer: requests.Response, **_: object) -> None:
        self._answers.append(answer)

    def read_manifest(self, name: str) -> bytes:
        """Reads the manifest with this tag or digest. Raises NotThere, or ArtifactError if the digest is not right.

        The digest is `name`, or the one that the registry gives for the tag.
        """
        headers = {"Accept": f"{MANIFEST_TYPE}, {INDEX_TYPE}"}
        what = str(self.reference) if name == self.reference.name else f"{name} beside {self.reference}"
        with self._asked("get", f"manifests/{name}", what, headers=headers) as response:
            content = _read(response, _MOST_SMALL_BYTES, what)
            said = response.headers.get("Docker-Content-Digest", "")
        for expected in (name, said):
            if expected.startswith(_SHA256) and digest_of(content) != expected:
                raise ArtifactError(f"{what} has changed in the registry: its digest is not {expected}.")
        return content

    def put_manifest(self, name: str, content: bytes, media_type: str = MANIFEST_TYPE) -> bool:
        """Returns whether the registry has seen the manifest's subject, and will list it as a referrer."""
        headers = {"Content-Type": media_type}
        what = str(self.reference)
        with self._asked("put", f"manifests/{name}", what, data=content, headers=headers) as response:
            return "OCI-Subject" in response.headers

    def read_referrers(self, digest: str) -> bytes:
        """Reads an index. Raises NotThere if the registry has no such API."""
        what = f"referrers of {self.reference}"
        with self._asked("get", f"referrers/{digest}", what) as response:
            return _read(response, _MOST_SMALL_BYTES, what)

    def put_blob(self, content: bytes) -> None:
        self._put(data=io.BytesIO(content), digest=digest_of(content))

    def put_file(self, path: Path, digest: str, advance: Callable[[int], object]) -> None:
        """Raises ArtifactError if the file does not have the digest any more."""

        def count(_digest: str, block: bytes, _size: int) -> None:
            advance(len(block))

        sent = self._put(str(path), progress=count)
        if sent != digest:
            raise ArtifactError(f"{path} was changed while it was pushed.")

    def read_blob(self, blob: Descriptor) -> bytes:
        """Reads a small blob. Raises ArtifactError if it is not what its descriptor says."""
        what = f"{blob.digest} of {self.reference}"
        with self._asked("get", f"blobs/{blob.digest}", what) as response:
            content = _read(response, min(blob.size, _MOST_SMALL_BYTES), what)
        if len(content) != blob.size or digest_of(content) != blob.digest:
            raise ArtifactError(f"{what} has changed in the registry: it is not what its digest says.")
        return content

    @contextmanager
    def opened_blob(self, blob: Descriptor, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Gives the first byte's position and the blocks: from `start` on, or from 0 if the registry sends no parts.

        Raises Unreachable, also if the connection breaks within the block.
        """
        ranges = {"Range": f"bytes={start}-"} if start else {}
        headers = {"Accept-Encoding": "identity"} | ranges
        what = f"{blob.digest} of {self.reference}"
        with self._asked("get", f"blobs/{blob.digest}", what, headers=headers) as response:
            is_part = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            yield start if is_part else 0, response.iter_content(_BLOCK_BYTES)

    @contextmanager
    def _asked(self, method: str, path: str, what: str, **options: Any) -> Iterator[requests.Response]:
        with in_words(self.reference.host, what), super()._request(method, path, stream=True, **options) as response:
            yield response

    def _put(self, *arguments: Any, **options: Any) -> str:
        with in_words(self.reference.host, str(self.reference)):
            return str(self.push_blob(*arguments, **options))

    def _log_in(self, _: DXFBase, response: requests.Response) -> None:
        login = find_login(self.reference)
        user, password = (login.user, login.password) if login else (None, None)
        try:
            self.authenticate(user, password, response=response, user_agent=_USER_AGENT)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # the challenge makes no sense
            raise ArtifactError(f"{self.reference.host} asks for a login in a way that is not known here.") from error

    def _base_request(self, method: str, path: str, **options: Any) -> requests.Response:
        timeout = (_CONNECT_SECONDS, _COMMIT_SECONDS if method == "put" else _READ_SECONDS)
        response: requests.Response = super()._base_request(method, path, timeout=timeout, **options)
        return response


def _read(response: requests.Response, most_bytes: int, what: str) -> bytes:
    content = b""
    for block in response.iter_content(_BLOCK_BYTES):
        content += block
        if len(content) > most_bytes:
            raise ArtifactError(f"{what} is larger than it may be, or than it is said to be.")
    return content


def _trusted_certificates() -> str | bool:
    """The file that the variables of requests, or of OpenSSL, name; otherwise the certificates of requests."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next((os.environ[name] for name in names if os.environ.get(name)), True)


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _speaks_tls(host: str) -> bool:
    """Whether a server on this machine answers a TLS handshake. Each request checks its certificate."""
    name, port = split_host(host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((name, port or _HTTPS_PORT), timeout=_PROBE_SECONDS) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False
