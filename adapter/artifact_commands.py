"""The commands of `torchbridge` that bring archives to a registry and have them from there."""

from pathlib import Path
from typing import Annotated

import typer

from adapter.archives.progress import progress_bar
from adapter.artifacts.pull import pull as pull_archive
from adapter.artifacts.pull import resolve
from adapter.artifacts.push import push as push_archive
from adapter.artifacts.reference import ArtifactReference
from adapter.artifacts.registry import Repository
from adapter.background_output import say
from adapter.installation import INSTALLATION

artifact_commands = typer.Typer()


@artifact_commands.command()
def push(
    archive: Annotated[Path, typer.Argument(metavar="FILE.mar")],
    reference: Annotated[str, typer.Argument(metavar="oci://HOST/REPOSITORY:TAG")],
) -> None:
    """Put FILE.mar, with its signature and its provenance, into a registry; docker login keeps the password for it."""
    say(str(push_archive(archive, ArtifactReference.parse(reference), progress_bar)))


@artifact_commands.command()
def pull(
    reference: Annotated[str, typer.Argument(metavar="oci://HOST/REPOSITORY:TAG_OR_@DIGEST")],
    *,
    output: Annotated[Path, typer.Option(help="The directory of the archive.")] = INSTALLATION.archives,
    key: Annotated[
        Path | None, typer.Option(metavar="PUB", help="Pull only what is signed with this public key.")
    ] = None,
) -> None:
    """Have an archive from a registry, and its signature; what was broken off goes on where it ended."""
    with Repository(ArtifactReference.parse(reference)) as repository:
        remote = resolve(repository, key)
        archive = pull_archive(repository, remote, output, progress_bar)
    say(f"{archive}\n{remote.reference}")
