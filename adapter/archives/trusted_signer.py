"""The signer that an archive must have: the holder of a key, or one of several identities. A file says which."""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from adapter.archives.identity_file import IdentityFile
from adapter.archives.signature import SignatureError, check_signature
from adapter.archives.signature_kinds import KEYLESS, WITH_A_KEY, SignatureKind
from adapter.archives.signing_keys import SigningKeyError, fingerprint, load_public_key, public_pem
from adapter.strict_yaml import MAX_BYTES

_PEM = b"-----BEGIN "


class TrustedSigner(Protocol):
    kind: ClassVar[SignatureKind]
    file: Path

    @property
    def fingerprint(self) -> str:
        """A name of the signer, whatever the signer's file looks like."""
        ...

    def to_bytes(self) -> bytes:
        """The content of a file that names the same signer and needs no other file."""
        ...

    def check(self, signature: bytes, sha256: str) -> None:
        """Raises SignatureError unless it is this signer's signature for this SHA-256, or SigningKeyError."""
        ...


class TrustedKey:
    kind: ClassVar = WITH_A_KEY

    def __init__(self, file: Path, key: ec.EllipticCurvePublicKey) -> None:
        self.file = file
        self._key = key

    @property
    def fingerprint(self) -> str:
        return fingerprint(self._key)

    def to_bytes(self) -> bytes:
        return public_pem(self._key)

    def check(self, signature: bytes, sha256: str) -> None:
        check_signature(signature, sha256, self._key)


class TrustedIdentities:
    kind: ClassVar = KEYLESS

    def __init__(self, file: Path, identities: IdentityFile) -> None:
        self.file = file
        self._identities = identities

    @property
    def fingerprint(self) -> str:
        return self._identities.fingerprint

    def to_bytes(self) -> bytes:
        return self._identities.to_bytes()

    def check(self, signature: bytes, sha256: str) -> None:
        # sigstore, which it imports, is there with the extra alone, and takes a second.
        from adapter.archives.keyless_signature import check_keyless  # noqa: PLC0415

        if not self.kind.is_of(signature, sha256):
            raise SignatureError("the signature is no sigstore bundle of version 0.3 of this file")
        check_keyless(signature, sha256, self._identities)


def load_trusted_signer(path: Path) -> TrustedSigner:
    """Reads a public key in PEM, or a file of identities. Raises SigningKeyError, or OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if _PEM in content:
        return TrustedKey(path, load_public_key(path))
    identities = IdentityFile.parse(content, path)
    if find_spec("sigstore") is None:
        raise SigningKeyError(f"{path} asks for signatures by sigstore: pip install 'torchbridge[sigstore]'.")
    return TrustedIdentities(path, identities)
