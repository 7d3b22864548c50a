import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from adapter.archives.signing_keys import (
    SigningKeyError,
    create_key_pair,
    fingerprint,
    load_private_key,
    load_public_key,
)


def test_a_pair_is_two_files_that_belong_together(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        private, public = create_key_pair(tmp_path / "release-1.0")
    finally:
        os.umask(umask)

    assert (private.name, public.name) == ("release-1.0.key", "release-1.0.pub")
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.stat().st_mode & 0o777 == 0o644
    assert fingerprint(load_private_key(private).public_key()) == fingerprint(load_public_key(public))


@pytest.mark.parametrize("taken", ["release.key", "release.pub"])
def test_no_key_is_ever_replaced(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")

    with pytest.raises(FileExistsError, match=taken):
        create_key_pair(tmp_path / "release")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {taken: "precious"}


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "is not a private key", id="nothing"),
        pytest.param(public_pem(P256), "is not a private key", id="a public key"),
        pytest.param(private_pem(P256, b"secret"), "without a password", id="a key with a password"),
        pytest.param(private_pem(P384), "not a key on P-256", id="another curve"),
        pytest.param(private_pem(EDWARDS), "not a key on P-256", id="another kind"),
    ],
)
def test_refuses_what_cannot_sign(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.key").write_bytes(content)
    with pytest.raises(SigningKeyError, match=reason):
        load_private_key(tmp_path / "a.key")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "is not a public key", id="nothing"),
        pytest.param(private_pem(P256), "is not a public key", id="a private key"),
        pytest.param(public_pem(P384), "not a key on P-256", id="another curve"),
        pytest.param(public_pem(EDWARDS), "not a key on P-256", id="another kind"),
    ],
)
def test_refuses_what_cannot_check_a_signature(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.pub").write_bytes(content)
    with pytest.raises(SigningKeyError, match=reason):
        load_public_key(tmp_path / "a.pub")
