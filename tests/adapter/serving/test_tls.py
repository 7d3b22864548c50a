"""What can be served by TLS, and what is refused before anything listens."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from adapter.serving.tls import Tls, TlsError
from adapter.settings import Settings
from tests.certificates import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> Pair:
    return authority.issue(tmp_path / "served")


def test_nothing_older_than_tls_1_2_is_spoken(pair: Pair) -> None:
    assert Tls(*pair).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_there_is_none_where_nothing_is_set() -> None:
    settings = Settings()
    assert Tls.configured(settings.tls_certificate, settings.tls_key) is None


@pytest.mark.parametrize("absent", [0, 1])
def test_one_without_the_other_is_refused(absent: int, pair: Pair) -> None:
    files: list[Path | None] = list(pair)
    files[absent] = None
    with pytest.raises(TlsError, match="set both, or neither"):
        Tls.configured(*files)


def of_another(authority: Authority, pair: Pair) -> None:
    authority.issue(pair.key.parent / "another").key.replace(pair.key)


def with_a_passphrase(authority: Authority, pair: Pair) -> None:
    authority.issue(pair.key.parent, BestAvailableEncryption(b"passphrase"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda _, pair: pair.key.chmod(0o640), r"tls\.key is open to other users", id="readable"),
        pytest.param(of_another, r"tls\.key is not the key of .*tls\.crt", id="another key"),
        pytest.param(with_a_passphrase, r"tls\.key has a passphrase", id="a passphrase"),
        pytest.param(lambda _, pair: pair.key.write_text("key"), "must be a certificate and its key", id="no PEM"),
        pytest.param(lambda _, pair: pair.certificate.write_text(""), "must be a certificate", id="an empty file"),
        pytest.param(lambda _, pair: pair.key.unlink(), r"tls\.key cannot be read: No such file", id="no key"),
        pytest.param(lambda _, pair: pair.certificate.unlink(), r"tls\.crt cannot be read", id="no certificate"),
    ],
)
def test_what_cannot_be_served_is_refused(
    spoil: Callable[[Authority, Pair], None], reason: str, authority: Authority, pair: Pair
) -> None:
    spoil(authority, pair)
    with pytest.raises(TlsError, match=reason) as refusal:
        Tls(*pair)
    assert "PRIVATE" not in str(refusal.value)
