"""The key that a server was started with: whatever it loads later has to be signed with it, too."""

from pathlib import Path

from adapter.archives.trusted_signer import load_trusted_signer
from adapter.durable.replacement import write_durably
from adapter.versions.errors import ChangeRefused
from adapter.versions.server_files import ServerFiles


def require_key(files: ServerFiles, key: Path | None) -> None:
    """Requires this key until the next start of the server. It is a copy: nobody else changes which key that is."""
    if key is None:
        files.public_key.unlink(missing_ok=True)
    else:
        write_durably(files.public_key, load_trusted_signer(key).to_bytes())


def required_key(files: ServerFiles, given: Path | None) -> Path | None:
    """The key with which an archive for this server must be signed, if any. `given`: the one that the command names.

    Raises ChangeRefused where it is another key than the server's, SigningKeyError where it is none.
    """
    if not files.public_key.exists():
        return given
    if given is not None and _fingerprint(given) != _fingerprint(files.public_key):
        raise ChangeRefused(f"{given} is not the key that this server was started with: it loads nothing else.")
    return files.public_key


def _fingerprint(key: Path) -> str:
    return load_trusted_signer(key).fingerprint
