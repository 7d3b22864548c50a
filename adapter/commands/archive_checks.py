"""The commands of `torchbridge` that look at archives."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from pydantic import Field

from adapter.archives.archive_reader import ArchiveError, read_bill_of_materials, read_probes, read_record
from adapter.archives.inspection import as_json, as_tables
from adapter.archives.scan import scan_archive
from adapter.archives.verification import verify_archive
from adapter.command_line.command_group import command_group
from adapter.command_line.options import Archive, Json, Quiet, examples, key_file
from adapter.command_line.result import Result, show
from adapter.command_line.stages import working
from adapter.command_line.tables import print_table
from adapter.probes import Probe
from adapter.process.background_output import notice, say
from adapter.process.stop_signals import run_until_stopped
from adapter.torchserve.archive_probe import probe_archive, served_alone

_SHOWN_CHARACTERS = 40

Key = Annotated[Path | None, key_file("The public key, or the file of identities, that must have signed it.", "PUB")]

archive_check_commands = command_group()


@archive_check_commands.command(
    epilog=examples("torchbridge inspect tiny-1.0.mar", "torchbridge inspect tiny-1.0.mar --json")
)
def inspect(archive: Archive, *, json_: Json = False) -> None:
    """Show the record of an archive.

    `verify` checks that the record is true.
    """
    record = read_record(archive)
    if json_:
        say(as_json(record))
    else:
        print_table(as_tables(record))


class VerifiedReport(Result):
    """What `verify --json` shows of an archive that may be served."""

    archive: Path = Field(description="The path of the archive.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version of the model.")
    sha256: str = Field(description="The SHA-256 of the file.")
    digest: str = Field(description="The archive's digest, which is `model_digest` of each answer.")
    signed_with: Path | None = Field(
        description="The key that it is signed with; null if no key was given, and its code is this installation's."
    )

    def in_words(self) -> str:
        trust = f"signed with {self.signed_with}" if self.signed_with else "not signed: its code is this installation's"
        return f"{self.model} {self.version} is whole and {trust}\n{self.sha256}  {self.archive}"


@archive_check_commands.command(
    epilog=examples("torchbridge verify tiny-1.0.mar", "torchbridge verify tiny-1.0.mar --key release.pub")
)
def verify(archive: Archive, *, key: Key = None, json_: Json = False, quiet: Quiet = False) -> None:
    """Refuse an archive that may not be served.

    It must be whole and have only files that an archive may have. If a key is given, it must be signed with it.
    """
    with working(f"verifying {archive}", quiet=quiet):
        verified = verify_archive(archive, key)
    record = verified.record
    shown = VerifiedReport(
        archive=archive,
        model=record.name,
        version=record.version,
        sha256=verified.sha256,
        digest=record.digest,
        signed_with=key if verified.is_signed else None,
    )
    show(shown, as_json=json_)


class ProbedReport(Result):
    """What `probe --json` shows of an archive whose answers are those that `pack` recorded."""

    archive: Path = Field(description="The path of the archive.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version of the model.")
    prompts: int = Field(description="The number of prompts that were compared.")

    def in_words(self) -> str:
        return f"{self.model} {self.version} answers as it did when it was packed: {self.prompts} prompts"


@archive_check_commands.command(epilog=examples("torchbridge probe tiny-1.0.mar"))
def probe(archive: Archive, *, key: Key = None, json_: Json = False, quiet: Quiet = False) -> None:
    """Serve an archive by itself, and compare its answers.

    It is verified, then served in a TorchServe of its own. Its answers must be those that `pack` recorded.
    """
    record = verify_archive(archive, key).record
    probes = read_probes(archive)
    if probes is None or not probes.probes:
        raise ArchiveError(f"{archive} holds no probes to compare with: torchbridge pack records them.")
    with ExitStack() as until_all_are_asked:
        with working(f"serving {archive}", quiet=quiet) as report:
            process = until_all_are_asked.enter_context(served_alone(archive, report))
        each = (lambda _: None) if quiet else _notice_probe
        run_until_stopped(lambda: probe_archive(archive, process, probes, each))
    shown = ProbedReport(archive=archive, model=record.name, version=record.version, prompts=len(probes.probes))
    show(shown, as_json=json_)


class ScannedReport(Result):
    """What `scan --json` shows of an archive in which nothing was found."""

    archive: Path = Field(description="The path of the archive.")
    result: str = Field(description="The scanner and its version, and that it found nothing.")

    def in_words(self) -> str:
        return f"{self.archive}: {self.result}"


@archive_check_commands.command(epilog=examples("torchbridge scan tiny-1.0.mar"))
def scan(archive: Archive, *, json_: Json = False) -> None:
    """Scan an archive with picklescan.

    This is a second opinion: `verify` decides whether the archive may be served.
    """
    shown = ScannedReport(archive=archive, result=scan_archive(archive))
    show(shown, as_json=json_)


@archive_check_commands.command(epilog=examples("torchbridge bom tiny-1.0.mar > tiny-1.0.mar.bom.cdx.json"))
def bom(archive: Archive) -> None:
    """Print the bill of materials of an archive.

    It is CycloneDX, as JSON.
    """
    say(read_bill_of_materials(archive).rstrip())


def _notice_probe(probe: Probe) -> None:
    shown = f"{probe.answer[:_SHOWN_CHARACTERS]!r}{'...' if len(probe.answer) > _SHOWN_CHARACTERS else ''}"
    notice(
        f"{probe.prompt!r}: {len(probe.answer_tokens)} tokens, {shown}"
        if probe.answer_tokens
        else f"{probe.prompt!r}: no clear answer"
    )
