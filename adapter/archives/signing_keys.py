"""Key pairs that sign archives: ECDSA on P-256 in PEM, as OpenSSF model-signing takes and as openssl makes them."""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from adapter.durable.disk_space import full_disk_in_words


class SigningKeyError(ValueError):
    """The file is not a key that can be used here, and the message says why."""


def create_key_pair(path: Path) -> tuple[Path, Path]:
    """Writes PATH.key, for nobody else to read, and PATH.pub. Raises FileExistsError before it would replace one."""
    private_path, public_path = path.with_name(f"{path.name}.key"), path.with_name(f"{path.name}.pub")
    key = ec.generate_private_key(ec.SECP256R1())
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The public one first: no secret is left behind where the other name is taken.
    _write_new(public_path, public_pem(key.public_key()), 0o644)
    try:
        _write_new(private_path, private_pem, 0o600)
    except OSError:
        public_path.unlink()
        raise
    return private_path, public_path


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path} is not a private key in PEM without a password.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyError(f"{path} is not a key on P-256: torchbridge keys new makes one.")
    return key


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path} is not a public key in PEM.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyError(f"{path} is not a key on P-256: torchbridge keys new makes one.")
    return key


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """The SHA-256 of its PEM, by which a signature names its key."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with full_disk_in_words(path.name, path.parent):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except BaseException:
            path.unlink()  # half a key is of no use, and would occupy the name
            raise
