"""A registry, or what stands in its place, that answers anything at all: a line says it, and nothing wrong is kept."""

import gzip
import os
import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.artifacts.errors import ArtifactError
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry
from tests.adapter.artifacts.transfers import pull_from, push_to
from tests.adapter.versions.fake_server import make_archive
from tests.certificates import write_self_signed

_REQUESTS_OF_A_PUSH, _REQUESTS_OF_A_PULL = 24, 6
_TIMES = 24 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 1  # that each answer is given, in the place of others


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode("latin-1") + body


ANSWERS = {
    "nothing": b"",
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "zeros": bytes(5_000),
    "a status that is none": b"HTTP/1.1 9 \r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "a page": answer("200 OK", "Content-Type: text/html", body=b"<html>Log in</html>"),
    "an empty body": answer("200 OK"),
    "no content": answer("204 No Content"),
    "a list": answer("200 OK", body=b"[]"),
    "null": answer("200 OK", body=b"null"),
    "an empty object": answer("200 OK", body=b"{}"),
    "a deep list": answer("200 OK", body=b"[" * 100_000),
    "a number": answer("200 OK", body=b"1e999"),
    "another coding": answer("200 OK", "Content-Encoding: gzip", body=b"no gzip"),
    "a bomb": answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(bytes(50 * 2**20))),
    "less than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}",
    "chunks that are none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nten\r\n{}",
    "another part": answer("206 Partial Content", "Content-Range: bytes 5-6/7", body=b"{}"),
    "a part of nothing": answer("206 Partial Content", "Content-Range: \xff", body=b"{}"),
    "a digest of its own": answer("200 OK", f"Docker-Content-Digest: sha256:{'0' * 64}", body=b"{}"),
    "moved to nowhere": answer("301 Moved Permanently"),
    "moved to no address": answer("302 Found", "Location: http://["),
    "moved to a file": answer("302 Found", "Location: file:///etc/passwd"),
    "moved within itself": answer("307 Temporary Redirect", "Location: /v2/"),
    "accepted without a place": answer("202 Accepted"),
    "accepted at no address": answer("202 Accepted", "Location: http://["),
    "accepted at nothing": answer("202 Accepted", "Location:"),
    "a login of no kind": answer("401 Unauthorized"),
    "a login without words": answer("401 Unauthorized", "WWW-Authenticate: Bearer"),
    "a login at no address": answer("401 Unauthorized", 'WWW-Authenticate: Bearer realm="http://["'),
    "a login that is cut": answer("401 Unauthorized", 'WWW-Authenticate: Bearer realm="https://'),
    "a login of another kind": answer("401 Unauthorized", "WWW-Authenticate: Negotiate"),
    "a login in other letters": answer("401 Unauthorized", "WWW-Authenticate: \xff\xfe=,,\"'"),
    "forbidden": answer("403 Forbidden", body=b"\x1b[2J"),
    "absent": answer("404 Not Found"),
    "gone": answer("410 \x1b[31mGone"),
    "too many": answer("429 Too Many Requests", "Retry-After: soon"),
    "broken": answer("500 Internal Server Error", body=b"\x1b[31m{"),
    "a long header": answer("200 OK", f"X-Long: {'x' * 100_000}"),
    "many headers": answer("200 OK", *(f"X-{number}: x" for number in range(1_000))),
}


@dataclass(frozen=True)
class Published:
    """A registry with a signed archive in it, and what it holds then."""

    registry: FakeRegistry
    archive: Path
    key: Path
    whole: tuple[dict[str, bytes], dict[str, tuple[str, bytes]]]

    @property
    def reference(self) -> str:
        return f"oci://{self.registry.host}/tiny:1.0"

    def begin_anew(self, *, holds_it: bool) -> None:
        self.registry.blobs, self.registry.manifests = deepcopy(self.whole) if holds_it else ({}, {})


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """With TLS, as also what asks for a login is listened to then."""
    directory = tmp_path_factory.mktemp("published")
    certificate = write_self_signed(directory / "tls")
    _, key = create_key_pair(directory / "release")
    archive = make_archive(directory, "1.0")
    sign_file(archive, load_private_key(directory / "release.key"))
    with running_fake_registry(FakeRegistry(), certificate) as registry, pytest.MonkeyPatch.context() as environment:
        environment.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        environment.setenv("DOCKER_CONFIG", str(directory))
        environment.delenv("REGISTRY_AUTH_FILE", raising=False)
        push_to(f"oci://{registry.host}/tiny:1.0", archive)
        yield Published(registry, archive, key, deepcopy((registry.blobs, registry.manifests)))


@pytest.fixture(autouse=True)
def nobody_is_logged_in() -> None:
    """As `published` has it, for all of the file."""


def places(rubbish: bytes, requests: int) -> list[int]:
    """After how many true answers it comes."""
    return random.Random(rubbish).sample(range(requests), min(_TIMES, requests))


def expect_one_line(failure: BaseException) -> None:
    assert str(failure).isprintable()
    assert len(str(failure)) < 500


@pytest.mark.parametrize("rubbish", ANSWERS.values(), ids=ANSWERS)
def test_a_push_says_it(rubbish: bytes, published: Published) -> None:
    for place in places(rubbish, _REQUESTS_OF_A_PUSH):
        published.begin_anew(holds_it=False)
        published.registry.answer_once(place, rubbish)
        try:
            push_to(published.reference, published.archive)
        except ArtifactError as failure:
            expect_one_line(failure)


@pytest.mark.parametrize("rubbish", ANSWERS.values(), ids=ANSWERS)
def test_a_pull_says_it_and_keeps_nothing_wrong(rubbish: bytes, published: Published, tmp_path: Path) -> None:
    for place in places(rubbish, _REQUESTS_OF_A_PULL):
        published.begin_anew(holds_it=True)
        published.registry.answer_once(place, rubbish)
        directory = tmp_path / str(place)
        try:
            pulled = pull_from(published.reference, directory, published.key)
        except ArtifactError as failure:
            expect_one_line(failure)
            assert not (directory / published.archive.name).exists()
        else:
            assert pulled.read_bytes() == published.archive.read_bytes()
