"""Chooses among the signatures that a registry has for an archive: anybody who may push may have added one."""

from collections.abc import Mapping, Sequence

from adapter.archives.signature import SignatureError
from adapter.archives.signature_kinds import KINDS, SignatureKind
from adapter.archives.trusted_signer import TrustedSigner
from adapter.artifacts.attachments import SIGNATURE_TYPE
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import Descriptor
from adapter.artifacts.referrers import attached
from adapter.artifacts.registry import Repository


def find_signatures(
    repository: Repository, subject: Descriptor, sha256: str, signer: TrustedSigner | None
) -> Mapping[SignatureKind, bytes]:
    """The one that `signer` has made for the archive with this SHA-256; without a signer the latest of each kind.

    Raises ArtifactError if the signer's is missing, before the archive is pulled.
    """
    bundles = list(attached(repository, subject, SIGNATURE_TYPE))
    if signer is not None:
        return {signer.kind: _signed_by(signer, bundles, sha256, repository)}
    return {kind: each for each in bundles for kind in KINDS if kind.is_of(each, sha256)}


def _signed_by(signer: TrustedSigner, bundles: Sequence[bytes], sha256: str, repository: Repository) -> bytes:
    reason = "it is not signed"
    for bundle in reversed([each for each in bundles if signer.kind.is_of(each, sha256)]):
        try:
            signer.check(bundle, sha256)
        except SignatureError as error:
            reason = str(error)
        else:
            return bundle
    raise ArtifactError(f"{repository.reference} is refused: {reason} ({signer.file} is asked for).")
