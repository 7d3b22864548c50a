"""The commands of `torchbridge` that make archives and look at them."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.archive_reader import ArchiveError, read_bill_of_materials, read_probes, read_record
from adapter.archives.inspection import as_json, as_tables
from adapter.archives.model_check import check_model
from adapter.archives.model_directory import model_directory
from adapter.archives.model_source import package_url
from adapter.archives.progress import progress_bar
from adapter.archives.provenance import attest as attest_archive
from adapter.archives.scan import scan_archive
from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key, public_pem
from adapter.archives.step_compilation import COMPILED_STEPS, compile_steps
from adapter.archives.verification import verify_archive
from adapter.background_output import say
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.installation import INSTALLATION
from adapter.probes import Probe, Probes
from adapter.stop_signals import run_until_stopped
from adapter.torchserve.archive_probe import probe_archive, served_alone

_SHOWN_CHARACTERS = 40

Archive = Annotated[Path, typer.Argument(metavar="FILE.mar")]
Key = Annotated[Path | None, typer.Option(metavar="PUB", help="The public key of who may sign it.")]

commands = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Key pairs that sign archives.")
commands.add_typer(keys, name="keys")


@commands.command()
def pack(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A directory or a hub id, in Hugging Face format, or a .gguf file.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Its name in requests.")],
    version: Annotated[str, typer.Option(help="Its version in requests.")],
    output: Annotated[Path, typer.Option(help="The directory of the archive.")] = INSTALLATION.archives,
    config: Annotated[Path, typer.Option(help="Workers, slots, queue and timeouts.")] = DEFAULT_MODEL_CONFIG,
    sign: Annotated[Path | None, typer.Option(metavar="KEY", help="A private key: also write FILE.mar.sig.")] = None,
) -> None:
    """Check that a worker can serve MODEL and write OUTPUT/NAME-VERSION.mar, unless it already holds just this."""
    key = load_private_key(sign) if sign else None
    with model_directory(model) as directory:
        archive = build_archive(
            directory,
            name,
            version,
            output,
            config,
            source=package_url(model, directory),
            check=_check_model,
            progress=progress_bar,
        )
    signature = sign_file(archive, key) if key else None  # before a word: nobody may be there to read it
    say(f"{archive}\n{read_record(archive).digest}")
    if signature:
        say(str(signature))


@commands.command()
def compile(  # noqa: A001 - the word for it
    archive: Archive,
    *,
    output: Annotated[
        Path, typer.Option(envvar=COMPILED_STEPS_VARIABLE, help="Where the workers of this machine look for it.")
    ] = COMPILED_STEPS,
) -> None:
    """Compile the steps of FILE.mar for this processor, so that it answers faster. Needs a C++ compiler."""
    with Console(stderr=True).status(f"compiling {archive}"):
        directory = compile_steps(archive, output)
    say(str(directory))


@commands.command()
def inspect(archive: Archive, *, json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what FILE.mar says of itself; whether it is so, `verify` finds out."""
    record = read_record(archive)
    if json:
        say(as_json(record))
    else:
        Console().print(as_tables(record))


@commands.command()
def verify(archive: Archive, key: Key = None) -> None:
    """Refuse FILE.mar unless it is whole, holds nothing that an archive may not, and is signed, where PUB is given."""
    with Console(stderr=True).status(f"verifying {archive}"):
        verified = verify_archive(archive, key)
    trust = f"signed with {key}" if verified.is_signed else "not signed: its code is this installation's"
    say(f"{verified.record.name} {verified.record.version} is whole and {trust}\n{verified.sha256}  {archive}")


@commands.command()
def probe(archive: Archive, key: Key = None) -> None:
    """Verify FILE.mar, serve it in a TorchServe of its own and compare its answers with those that `pack` recorded."""
    record = verify_archive(archive, key).record
    probes = read_probes(archive)
    if probes is None or not probes.probes:
        raise ArchiveError(f"{archive} holds no probes to compare with: torchbridge pack records them.")
    with ExitStack() as until_all_are_asked:
        with Console(stderr=True).status(f"serving {archive}") as status:
            process = until_all_are_asked.enter_context(served_alone(archive, status.update))
        run_until_stopped(lambda: probe_archive(archive, process, probes, _print_probe))
    say(f"{record.name} {record.version} answers as it did when it was packed: {len(probes.probes)} prompts")


@commands.command()
def scan(archive: Archive) -> None:
    """Have picklescan look at FILE.mar, too: `verify` is what decides whether it may be served."""
    say(f"{archive}: {scan_archive(archive)}")


@commands.command()
def bom(archive: Archive) -> None:
    """Print the CycloneDX bill of materials of FILE.mar."""
    say(read_bill_of_materials(archive).rstrip())


@commands.command()
def attest(
    archive: Archive,
    *,
    sign: Annotated[Path | None, typer.Option(metavar="KEY", help="A private key: as a signed DSSE envelope.")] = None,
) -> None:
    """Write FILE.mar.provenance.json: from what, where and by which run it was packed (SLSA v1, Build L1)."""
    say(str(attest_archive(archive, os.environ, load_private_key(sign) if sign else None)))


@keys.command("new")
def new_keys(name: Annotated[Path, typer.Argument(help="Where to write them, without a suffix.")]) -> None:
    """Write NAME.key, which signs archives and stays secret, and NAME.pub, which verifies them."""
    for path in create_key_pair(name):
        say(str(path))


@keys.command("public")
def public_key(key: Annotated[Path, typer.Argument(metavar="KEY", help="A private key.")]) -> None:
    """Print the public key that verifies what KEY signs."""
    say(public_pem(load_private_key(key).public_key()).decode().rstrip())


def _check_model(directory: Path, config: Path) -> Probes:
    console = Console(stderr=True)
    with console.status(f"checking {directory}"):
        return check_model(directory, config, lambda warning: console.out(f"torchbridge: warning: {warning}"))


def _print_probe(probe: Probe) -> None:
    shown = f"{probe.answer[:_SHOWN_CHARACTERS]!r}{'...' if len(probe.answer) > _SHOWN_CHARACTERS else ''}"
    say(
        f"{probe.prompt!r}: {len(probe.answer_tokens)} tokens, {shown}"
        if probe.answer_tokens
        else f"{probe.prompt!r}: no clear answer"
    )
