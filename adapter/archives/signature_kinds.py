"""The two kinds of signatures that an archive may have, with a key and without: where each lies, and what it is of."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from adapter.archives.keyless_bundle import is_keyless_signature_of
from adapter.archives.signature import SignatureError, is_signature_of
from adapter.archives.signature_paths import keyless_signature_path, signature_path

_MOST_BYTES = 2**20  # one has some 10 KB


class SignatureKind(NamedTuple):
    """
    path: where that of an archive lies.
    is_of: whether this one says that it is of the file with this SHA-256.
    maker: the command that writes one.
    """

    path: Callable[[Path], Path]
    is_of: Callable[[bytes, str], bool]
    maker: str

    def read(self, archive: Path) -> bytes:
        """Raises SignatureError, also where there is none, or OSError."""
        path = self.path(archive)
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except FileNotFoundError as error:
            raise SignatureError(f"it is not signed: there is no {path.name} ({self.maker})") from error
        if len(content) > _MOST_BYTES:
            raise SignatureError(f"{path.name} is too large for a signature")
        return content


WITH_A_KEY = SignatureKind(signature_path, is_signature_of, "torchbridge pack --sign KEY")
KEYLESS = SignatureKind(keyless_signature_path, is_keyless_signature_of, "cosign sign-blob")
KINDS = (WITH_A_KEY, KEYLESS)
