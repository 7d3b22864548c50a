"""The commands of `torchbridge` that bring archives to a registry and download them from there."""

from pathlib import Path
from typing import Annotated

import typer

from adapter.archives.progress import progress
from adapter.artifacts.pull import pull as pull_archive
from adapter.artifacts.pull import resolve
from adapter.artifacts.push import push as push_archive
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from adapter.command_line.options import Archive, Quiet, examples, key_file
from adapter.installation import INSTALLATION
from adapter.process.background_output import say

artifact_commands = typer.Typer()


@artifact_commands.command(epilog=examples("torchbridge push tiny-1.0.mar oci://registry.example.com/models/tiny:1.0"))
def push(
    archive: Archive,
    reference: Annotated[str, typer.Argument(metavar="oci://HOST/REPOSITORY:TAG")],
    *,
    quiet: Quiet = False,
) -> None:
    """Put an archive into a registry.

    Its signatures and its provenance go with it. The password is that of docker login.
    """
    say(str(push_archive(archive, ArtifactReference.parse(reference), progress(quiet=quiet))))


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
    quiet: Quiet = False,
) -> None:
    """Download an archive from a registry.

    Its signatures come with it. A download that was interrupted goes on where it ended.
    """
    with Repository(ArtifactReference.parse(reference)) as repository:
        remote = resolve(repository, key)
        archive = pull_archive(repository, remote, output, progress(quiet=quiet))
    say(f"{archive}\n{remote.reference}")
