"""The attachments of an archive: manifests of their own that name its manifest as their subject.

Where a registry does not list them by itself, an index under a tag that is made of the digest does, as the distribution
specification has it ("Referrers Tag Schema"). Two who push for one archive at once may then lose an entry: an index
cannot be written only where it is still the one that was read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.artifacts.errors import NotThere
from adapter.artifacts.manifest import INDEX_TYPE, MANIFEST_TYPE, TITLE, Descriptor, Index, Manifest
from adapter.artifacts.registry import Repository

_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_MOST_OF_A_TYPE = 32  # anybody who may push may add one, and each is read


@dataclass(frozen=True, slots=True)
class Attachment:
    """`media_type`: of its content, and so the type of the artifact."""

    media_type: str
    file_name: str
    content: bytes


def attach(repository: Repository, subject: Descriptor, attachment: Attachment) -> None:
    """The same manifest for the same content: what is there already is not added once more."""
    layer = Descriptor.of(attachment.content, attachment.media_type, {TITLE: attachment.file_name})
    manifest = Manifest(
        artifact_type=attachment.media_type,
        config=Descriptor.of(_EMPTY, _EMPTY_TYPE),
        layers=(layer,),
        subject=subject,
    ).to_bytes()
    for blob in (_EMPTY, attachment.content):
        repository.put_blob(blob)
    referrer = Descriptor.of(manifest, MANIFEST_TYPE)
    if not repository.put_manifest(referrer.digest, manifest):
        _list(repository, subject, referrer.model_copy(update={"artifact_type": attachment.media_type}))


def attached(repository: Repository, subject: Descriptor, media_type: str) -> Iterator[bytes]:
    """The contents of all attachments of this type, the latest last. Raises ArtifactError."""
    referrers = _referrers(repository, subject).manifests
    for referrer in [each for each in referrers if each.artifact_type == media_type][-_MOST_OF_A_TYPE:]:
        content = repository.read_manifest(referrer.digest)
        manifest = Manifest.read(content, f"{referrer.digest} of {repository.reference}")
        if manifest.subject is not None and manifest.subject.digest == subject.digest and manifest.layers:
            yield repository.read_blob(manifest.layers[0])


def _list(repository: Repository, subject: Descriptor, referrer: Descriptor) -> None:
    index = _listed(repository, subject)
    if referrer.digest not in {each.digest for each in index.manifests}:
        longer = index.model_copy(update={"manifests": (*index.manifests, referrer)})
        repository.put_manifest(_tag(subject), longer.to_bytes(), INDEX_TYPE)


def _referrers(repository: Repository, subject: Descriptor) -> Index:
    try:
        content = repository.read_referrers(subject.digest)
    except NotThere:
        return _listed(repository, subject)
    return Index.read(content, _what(repository))


def _listed(repository: Repository, subject: Descriptor) -> Index:
    try:
        content = repository.read_manifest(_tag(subject))
    except NotThere:
        return Index()
    return Index.read(content, _what(repository))


def _what(repository: Repository) -> str:
    return f"the list of what belongs to {repository.reference}"


def _tag(subject: Descriptor) -> str:
    return subject.digest.replace(":", "-")
