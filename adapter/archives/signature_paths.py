"""Where the signatures of an archive lie that has any: beside it. What is in them is read elsewhere."""

from pathlib import Path


def signature_path(archive: Path) -> Path:
    """Of the one that is made with a key (signature.py)."""
    return archive.with_name(f"{archive.name}.sig")


def keyless_signature_path(archive: Path) -> Path:
    """As cosign and sigstore call theirs (keyless_signature.py)."""
    return archive.with_name(f"{archive.name}.sigstore.json")


SIGNATURE_PATHS = (signature_path, keyless_signature_path)  # one of each of signature_kinds.py


def signature_paths(archive: Path) -> tuple[Path, ...]:
    return tuple(path(archive) for path in SIGNATURE_PATHS)
