"""Packs a model and the handler into a TorchServe archive (.mar): the same input always gives the same bytes.

torch-model-archiver itself re-compresses the weights, puts the time into the archive and deletes $TMPDIR/<model name>.
"""

import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from adapter.archives.archive_names import archive_file_name
from adapter.archives.archive_reader import ArchiveError, NotOurArchive, read_record
from adapter.archives.bill_of_materials import bill_of_materials
from adapter.archives.model_config import check_model_config
from adapter.archives.model_facts import read_model_facts
from adapter.archives.model_source import served_files
from adapter.archives.packed_code import packed_code
from adapter.archives.progress import Reporter, no_progress
from adapter.archives.record import (
    BOM_ENTRY,
    MANIFEST_ENTRY,
    RECORD_ENTRY,
    ArchiveRecord,
    FileRecord,
    ModelFacts,
    Versions,
)
from adapter.archives.torchserve_manifest import MODEL_CONFIG_ENTRY, torchserve_manifest
from adapter.archives.verification import VerificationError, verify_archive
from adapter.archives.zip_writer import Source, record_of, size_of, write_zip
from adapter.installation import CODE
from adapter.names import NAME_PATTERN
from adapter.probes import PROBES_ENTRY, Probes
from adapter.schema import CONTRACT_VERSION

_MOST_CHARACTERS = 180  # file systems take 255 in a name, and signatures beside the archive have longer ones
DEFAULT_MODEL_CONFIG = CODE / "handlers" / "model-config.yaml"


def build_archive(
    model_directory: Path,
    name: str,
    version: str,
    output_directory: Path,
    config_file: Path = DEFAULT_MODEL_CONFIG,
    *,
    source: str | None = None,
    check: Callable[[Path, Path], Probes | None] | None = None,
    progress: Reporter = no_progress,
) -> Path:
    """Writes NAME-VERSION.mar into `output_directory`, or leaves it alone if it already holds just this.

    `source` is the package URL of a model from the hub. `check` is called last before anything is written, with the
    model's directory and the configuration; the probes that it returns are packed too.
    """
    for word, value in (("name", name), ("version", version)):
        if not re.fullmatch(NAME_PATTERN, value):
            raise ArchiveError(
                f"{value!r} cannot be a {word}. It has at most 128 letters, digits, . _ and -, begins with a letter or"
                " a digit and not with token, and has no two dots in a row."
            )
    if len(name) + len(version) > _MOST_CHARACTERS:
        raise ArchiveError(
            f"The file's name would be too long: name and version have at most {_MOST_CHARACTERS} characters together."
        )
    check_model_config(config_file)
    model_files = {f"model/{path.name}": path for path in served_files(model_directory)}
    sources: dict[str, Source] = {
        MANIFEST_ENTRY: torchserve_manifest(name, version),
        MODEL_CONFIG_ENTRY: config_file,
        **packed_code(),
        **model_files,
    }
    with progress("reading", sum(map(size_of, sources.values()))) as advance:
        files = {entry: record_of(content, advance) for entry, content in sources.items()}
    model = read_model_facts({path: files[entry] for entry, path in model_files.items()}, source)
    archive = output_directory / archive_file_name(name, version)
    if (held := _record_of_what_lies_there(archive)) is not None:
        # Making its probes again would take as long as the check that made them.
        probes_record = {entry: file for entry, file in held.files.items() if entry == PROBES_ENTRY}
        expected = _descriptions(name, version, model, files | probes_record)[RECORD_ENTRY]
        if (probes_record or check is None) and _holds(archive, held, expected):
            return archive
        # a-1 of version 2 and a of version 1-2 have the same file name.
        if (held.name, held.version) != (name, version):
            raise ArchiveError(f"{archive} holds {held.name!r} of version {held.version!r}: choose another version.")
    if check and (probes := check(model_directory, config_file)):
        sources[PROBES_ENTRY] = probes.to_bytes()
        files[PROBES_ENTRY] = record_of(sources[PROBES_ENTRY])
    descriptions = _descriptions(name, version, model, files)
    output_directory.mkdir(parents=True, exist_ok=True)
    files |= {entry: record_of(content) for entry, content in descriptions.items()}
    with progress("writing", sum(file.size for file in files.values())) as advance:
        write_zip(archive, sources | descriptions, files, advance)
    return archive


def _record_of_what_lies_there(archive: Path) -> ArchiveRecord | None:
    """None if the file can be replaced: it is absent, torn or not ours."""
    try:
        return read_record(archive) if archive.exists() else None
    except NotOurArchive:
        return None


def _holds(archive: Path, held: ArchiveRecord, expected: Source) -> bool:
    """Whether the whole archive is as this record says. A damaged or exchanged one is written anew."""
    if held.to_bytes() != expected:
        return False
    try:
        verify_archive(archive)
    except VerificationError:
        return False
    return True


def _descriptions(name: str, version: str, model: ModelFacts, files: dict[str, FileRecord]) -> dict[str, Source]:
    """The bill of materials and the record of an archive with these files."""
    versions = Versions(**{package: metadata.version(package) for package in Versions.model_fields})
    bill = bill_of_materials(name, version, model, versions, files)
    files = files | {BOM_ENTRY: record_of(bill)}
    record = ArchiveRecord(
        contract=CONTRACT_VERSION, name=name, version=version, model=model, versions=versions, files=files
    )
    return {BOM_ENTRY: bill, RECORD_ENTRY: record.to_bytes()}
