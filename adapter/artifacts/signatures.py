"""Which of the signatures that a registry has for an archive is taken: anybody who may push may have added one."""

from pathlib import Path

from adapter.archives.signature import SignatureError, check_signature, is_signature_of
from adapter.archives.signing_keys import load_public_key
from adapter.artifacts.attachments import SIGNATURE_TYPE
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import Descriptor
from adapter.artifacts.referrers import attached
from adapter.artifacts.registry import Repository


def find_signature(repository: Repository, subject: Descriptor, sha256: str, key: Path | None) -> bytes | None:
    """That of the archive with this SHA-256 which is made with `key`; without a key the latest, or None.

    Raises ArtifactError where there is a key and no such signature, so before the archive is pulled.
    """
    public_key = load_public_key(key) if key else None
    bundles = [each for each in attached(repository, subject, SIGNATURE_TYPE) if is_signature_of(each, sha256)]
    if public_key is None:
        return bundles[-1] if bundles else None
    reason = "it is not signed"
    for bundle in reversed(bundles):
        try:
            check_signature(bundle, sha256, public_key)
        except SignatureError as error:
            reason = str(error)
        else:
            return bundle
    raise ArtifactError(f"{repository.reference} is refused: {reason} ({key} is asked for).")
