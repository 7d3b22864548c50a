"""Puts an archive into a registry."""

from pathlib import Path

from adapter.archives.archive_reader import read_record
from adapter.archives.progress import Reporter, no_progress
from adapter.artifacts.attachments import attachments
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import MANIFEST_TYPE, Descriptor, file_digest
from adapter.artifacts.model_manifest import CONFIG_TYPE, model_config, model_layer, model_manifest
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.referrers import attach
from adapter.artifacts.registry import Repository


def push(archive: Path, reference: ArtifactReference, progress: Reporter = no_progress) -> ArtifactReference:
    """Returns its place with the digest, which is the same for the same archive, whatever its file is called.

    The tag is pushed last: where it is, all that belongs to the archive is there. Raises ArtifactError, or
    ArchiveError if torchbridge did not pack it.
    """
    if reference.tag is None:
        raise ArtifactError(f"{reference} has no tag: push needs one.")
    record = read_record(archive)
    layer = model_layer(record, file_digest(archive), archive.stat().st_size)
    config = model_config(record, layer)
    manifest = model_manifest(layer, Descriptor.of(config, CONFIG_TYPE))
    subject = Descriptor.of(manifest, MANIFEST_TYPE)
    companions = list(attachments(archive, record.file_name, layer.sha256))
    with Repository(reference) as repository:
        with progress("pushing", layer.size) as advance:
            repository.put_file(archive, layer.digest, advance)
        repository.put_blob(config)
        repository.put_manifest(subject.digest, manifest)
        for each in companions:
            attach(repository, subject, each)
        repository.put_manifest(reference.tag, manifest)
    return reference.pinned(subject.digest)
