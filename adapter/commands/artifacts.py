"""The commands of `torchbridge` that bring archives to a registry and download them from there."""

import time
from pathlib import Path
from typing import Annotated, Self

import typer
from pydantic import Field

from adapter.archives.archive_reader import read_record
from adapter.archives.progress import progress
from adapter.artifacts.pull import pull as pull_archive
from adapter.artifacts.pull import resolve
from adapter.artifacts.push import push as push_archive
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from adapter.command_line.command_group import command_group
from adapter.command_line.options import Archive, Json, Quiet, examples, key_file
from adapter.command_line.result import Result, Seconds, seconds_since, show
from adapter.installation import INSTALLATION

artifact_commands = command_group()


class _TransferredArchive(Result):
    archive: Path = Field(description="The path of the archive on this machine.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The model's version.")
    digest: str = Field(description="The digest of the version's content, which is `model_digest` of its answers.")
    reference: str = Field(description="The place in the registry, with the digest of the manifest.")
    seconds: Seconds

    @classmethod
    def of(cls, archive: Path, reference: ArtifactReference, began: float) -> Self:
        record = read_record(archive)
        return cls(
            archive=archive,
            model=record.name,
            version=record.version,
            digest=record.digest,
            reference=str(reference),
            seconds=seconds_since(began),
        )


class PushedArchive(_TransferredArchive):
    """What `push` shows."""

    def in_words(self) -> str:
        return self.reference


class PulledArchive(_TransferredArchive):
    """What `pull` shows."""

    def in_words(self) -> str:
        return f"{self.archive}\n{self.reference}"


@artifact_commands.command(epilog=examples("torchbridge push tiny-1.0.mar oci://registry.example.com/models/tiny:1.0"))
def push(
    archive: Archive,
    reference: Annotated[str, typer.Argument(metavar="oci://HOST/REPOSITORY:TAG")],
    *,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put an archive into a registry.

    Its signatures and its provenance go with it. The password is that of docker login.
    """
    began = time.monotonic()
    pushed = push_archive(archive, ArtifactReference.parse(reference), progress(quiet=quiet))
    show(PushedArchive.of(archive, pushed, began), as_json=json_)


@artifact_commands.command(
    epilog=examples("torchbridge pull oci://registry.example.com/models/tiny:1.0 --key release.pub")
)
def pull(
    reference: Annotated[str, typer.Argument(metavar="oci://HOST/REPOSITORY:TAG_OR_@DIGEST")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", file_okay=False, help="The directory of the archive.")
    ] = INSTALLATION.archives,
    key: Annotated[
        Path | None,
        key_file("Pull only an archive that is signed with this public key, or by these identities.", "PUB"),
    ] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download an archive from a registry.

    Its signatures come with it. A download that was interrupted goes on where it ended.
    """
    began = time.monotonic()
    with Repository(ArtifactReference.parse(reference)) as repository:
        remote = resolve(repository, key)
        archive = pull_archive(repository, remote, output, progress(quiet=quiet))
    show(PulledArchive.of(archive, remote.reference, began), as_json=json_)
