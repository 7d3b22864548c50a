"""The signatures beside an archive that is pulled: what lies there and is good stays, and nothing is ever lost."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from adapter.archives.signature import SignatureError
from adapter.archives.signature_kinds import KINDS, SignatureKind
from adapter.archives.trusted_signer import TrustedSigner
from adapter.durable.replacement import SHARED, write_durably


def put_signatures(
    signatures: Mapping[SignatureKind, bytes], archive: Path, sha256: str, signer: TrustedSigner | None
) -> None:
    """Of the archive with this SHA-256, which may come to lie there later. Raises OSError.

    One that is already there stays where `signer` has made it, or where it is of this archive and nobody has asked who
    made it. Another one is kept beside, under a name with its digest.
    """
    for kind in KINDS:
        path = kind.path(archive)
        if path.exists():
            if _is_good(path, kind, sha256, signer):
                continue
            path.replace(path.with_name(f"{path.name}.{_digest(path)}"))
        if kind in signatures:
            write_durably(path, signatures[kind], SHARED)


def _is_good(path: Path, kind: SignatureKind, sha256: str, signer: TrustedSigner | None) -> bool:
    content = path.read_bytes()
    if signer is None or signer.kind != kind:
        return kind.is_of(content, sha256)
    try:
        signer.check(content, sha256)
    except SignatureError:
        return False
    return True


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
