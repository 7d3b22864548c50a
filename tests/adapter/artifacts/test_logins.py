"""Who may push and pull: Debian's docker-registry with TLS and passwords, and one that gives tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from adapter.artifacts.errors import ArtifactError, Unreachable
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry
from tests.adapter.artifacts.transfers import pull_from, push_to
from tests.certificates import write_self_signed
from tests.registry_server import PASSWORD, USER, RegistryServer, running_registry, write_login


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """It speaks TLS, and lets in who has a password."""
    with running_registry(tmp_path_factory.mktemp("closed"), has_tls=True, asks_for_password=True) as registry:
        yield registry


@pytest.fixture
def trusted(closed: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> RegistryServer:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(closed.certificate))
    return closed


def log_in(tmp_path: Path, host: str, password: str = PASSWORD) -> None:
    write_login(tmp_path / "docker" / "config.json", host, password)


def test_who_has_logged_in_pushes_and_pulls(trusted: RegistryServer, archive: Path, tmp_path: Path) -> None:
    log_in(tmp_path, trusted.host)
    pushed = push_to(trusted.reference("models/tiny:1.0"), archive)
    assert pull_from(pushed, tmp_path / "pulled").read_bytes() == archive.read_bytes()


def test_openssls_variable_names_certificates_too(
    closed: RegistryServer, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(closed.certificate))
    log_in(tmp_path, closed.host)
    push_to(closed.reference("models/openssl:1.0"), archive)


def test_a_wrong_password_is_refused_and_not_shown(trusted: RegistryServer, archive: Path, tmp_path: Path) -> None:
    log_in(tmp_path, trusted.host, "a wrong one")
    with pytest.raises(ArtifactError, match=f"{trusted.host} does not give access to") as refused:
        push_to(trusted.reference("models/tiny:1.0"), archive)
    assert "wrong one" not in str(refused.value)


def test_who_has_not_logged_in_is_told_how(trusted: RegistryServer, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"docker login {trusted.host}"):
        pull_from(trusted.reference("models/tiny:1.0"), tmp_path / "pulled")


def test_a_password_of_netrc_does_not_take_the_place_of_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine registry.example login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Repository(ArtifactReference.parse("oci://registry.example/tiny:1.0")) as repository:
        session = repository._sessions[0]
        assert isinstance(session, requests.Session)
        asked = session.prepare_request(
            requests.Request("GET", "https://registry.example/v2/", headers={"Authorization": "Bearer token"})
        )
    assert asked.headers["Authorization"] == "Bearer token"


def test_a_certificate_that_nobody_trusts_is_said(closed: RegistryServer, tmp_path: Path) -> None:
    log_in(tmp_path, closed.host)
    with pytest.raises(Unreachable, match="has a certificate that is not trusted: self-signed certificate"):
        pull_from(closed.reference("models/tiny:1.0"), tmp_path / "pulled")


def test_no_password_is_sent_without_tls(archive: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "plain", asks_for_password=True) as registry:
        log_in(tmp_path, registry.host)
        with pytest.raises(ArtifactError, match="asks for a login, which is sent by TLS only"):
            push_to(registry.reference("tiny:1.0"), archive)


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    certificate = write_self_signed(tmp_path / "tls")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with running_fake_registry(FakeRegistry(login=f"{USER}:{PASSWORD}"), certificate) as registry:
        yield registry


def test_a_token_is_asked_for_what_is_done_with_it(tokens: FakeRegistry, archive: Path, tmp_path: Path) -> None:
    log_in(tmp_path, tokens.host)
    pushed = push_to(f"oci://{tokens.host}/models/tiny:1.0", archive)
    assert "repository:models/tiny:pull,push" in tokens.scopes
    tokens.scopes.clear()
    assert pull_from(pushed, tmp_path / "pulled").read_bytes() == archive.read_bytes()
    assert set(tokens.scopes) == {"repository:models/tiny:pull"}


def test_who_gets_no_token_is_told_how(tokens: FakeRegistry, tmp_path: Path) -> None:
    log_in(tmp_path, tokens.host, "a wrong one")
    with pytest.raises(ArtifactError, match=f"docker login {tokens.host}"):
        pull_from(f"oci://{tokens.host}/models/tiny:1.0", tmp_path / "pulled")
