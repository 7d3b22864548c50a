"""The commands of `torchbridge` that make archives, and keys for them."""

import os
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field
from rich.console import Console

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.archive_reader import read_record
from adapter.archives.model_check import check_model
from adapter.archives.model_directory import model_directory
from adapter.archives.model_source import package_url
from adapter.archives.progress import progress
from adapter.archives.provenance import attest as attest_archive
from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key, public_pem
from adapter.archives.step_compilation import compile_steps
from adapter.command_line.command_group import command_group
from adapter.command_line.options import Archive, Json, Quiet, examples, key_file
from adapter.command_line.result import Result, Seconds, seconds_since, show
from adapter.command_line.stages import working
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.installation import COMPILED_STEPS, INSTALLATION
from adapter.probes import Probes
from adapter.process.background_output import say

archive_commands = command_group()
keys = command_group(no_args_is_help=True, help="Key pairs that sign archives.")
archive_commands.add_typer(keys, name="keys")


class PackedArchive(Result):
    """What `pack` shows."""

    archive: Path = Field(description="The path of the archive.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The model's version.")
    digest: str = Field(description="The digest of the version's content, which is `model_digest` of its answers.")
    signature: Path | None = Field(description="The path of the signature; null without `--sign`.")
    seconds: Seconds

    def in_words(self) -> str:
        return "\n".join([str(self.archive), self.digest, *([str(self.signature)] if self.signature else [])])


class CompiledArchive(Result):
    """What `compile` shows."""

    archive: Path = Field(description="The path of the archive.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The model's version.")
    digest: str = Field(description="The digest of the version's content, which is `model_digest` of its answers.")
    directory: Path = Field(description="The directory of the compiled libraries.")
    seconds: Seconds

    def in_words(self) -> str:
        return str(self.directory)


@archive_commands.command(
    epilog=examples(
        "torchbridge pack models/tiny --name tiny --version 1.0",
        "torchbridge pack HuggingFaceTB/SmolLM2-135M-Instruct --name chat --version 1.0 --sign release.key",
    )
)
def pack(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A directory or a hub id, in Hugging Face format, or a .gguf file.")
    ],
    *,
    name: Annotated[str, typer.Option(help="The model's name in requests.")],
    version: Annotated[str, typer.Option(help="The model's version in requests.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", file_okay=False, help="The directory of the archive.")
    ] = INSTALLATION.archives,
    config: Annotated[Path, typer.Option(help="Workers, slots, queue and timeouts.")] = DEFAULT_MODEL_CONFIG,
    sign: Annotated[Path | None, key_file("A private key: also write FILE.mar.sig.", "KEY")] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check that a worker can serve MODEL, and write its archive.

    The archive is OUTPUT/NAME-VERSION.mar. If this file has the same content already, it is not written again.
    """
    began = time.monotonic()
    key = load_private_key(sign) if sign else None
    with model_directory(model) as directory:
        archive = build_archive(
            directory,
            name,
            version,
            output,
            config,
            source=package_url(model, directory),
            check=partial(_check_model, quiet=quiet),
            progress=progress(quiet=quiet),
        )
    signature = sign_file(archive, key) if key else None
    record = read_record(archive)
    result = PackedArchive(
        archive=archive,
        model=record.name,
        version=record.version,
        digest=record.digest,
        signature=signature,
        seconds=seconds_since(began),
    )
    show(result, as_json=json_)


@archive_commands.command(epilog=examples("torchbridge compile tiny-1.0.mar"))
def compile(  # noqa: A001 - the word for it
    archive: Archive,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            envvar=COMPILED_STEPS_VARIABLE,
            help="The directory where workers look for compiled steps.",
        ),
    ] = COMPILED_STEPS,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compile the steps of an archive, for faster answers.

    They are compiled for this processor. This needs a C++ compiler.
    """
    began = time.monotonic()
    with working(f"compiling {archive}", quiet=quiet):
        directory = compile_steps(archive, output)
    record = read_record(archive)
    result = CompiledArchive(
        archive=archive,
        model=record.name,
        version=record.version,
        digest=record.digest,
        directory=directory,
        seconds=seconds_since(began),
    )
    show(result, as_json=json_)


@archive_commands.command(epilog=examples("torchbridge attest tiny-1.0.mar --sign release.key"))
def attest(
    archive: Archive,
    *,
    sign: Annotated[Path | None, key_file("A private key: sign the provenance, as a DSSE envelope.", "KEY")] = None,
) -> None:
    """Write the provenance of an archive.

    It says from what, where and by which run the archive was packed. The file is FILE.mar.provenance.json (SLSA v1,
    Build L1).
    """
    say(str(attest_archive(archive, os.environ, load_private_key(sign) if sign else None)))


@keys.command("new", epilog=examples("torchbridge keys new release"))
def new_keys(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="The path of the two files, without a suffix.")],
) -> None:
    """Write NAME.key, which signs archives and stays secret, and NAME.pub, which verifies them."""
    for path in create_key_pair(name):
        say(str(path))


@keys.command("public", epilog=examples("torchbridge keys public release.key"))
def public_key(key: Annotated[Path, typer.Argument(metavar="KEY", help="A private key.")]) -> None:
    """Print the public key that verifies what KEY signs."""
    say(public_pem(load_private_key(key).public_key()).decode().rstrip())


def _check_model(directory: Path, config: Path, *, quiet: bool) -> Probes:
    with working(f"checking {directory}", quiet=quiet):
        return check_model(directory, config, _warn)


def _warn(warning: str) -> None:
    Console(stderr=True).out(f"torchbridge: warning: {warning}")
