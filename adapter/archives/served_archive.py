"""What the gateway has to know of the archive that a version runs, whatever its age."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import ValidationError

from adapter.archives.content_rules import ContentError, read_whole
from adapter.archives.record import RECORD_ENTRY, ArchiveRecord
from adapter.archives.strict_zip import StrictZipError, read_entries
from adapter.archives.zip_image import ZipEntry
from adapter.schema import CONTRACT_VERSION, GenerationRequest, SamplingDefaults

_REMEMBERED = 256
_GENERATION_CONFIG = "model/generation_config.json"


class ServedArchive(NamedTuple):
    """As this installation packs them, unless it is said otherwise."""

    contract: int = CONTRACT_VERSION
    sampling_defaults: SamplingDefaults = SamplingDefaults()


def read_served_archive(archive: Path) -> ServedArchive | None:
    """Nothing where the file cannot be read, or is none that torchbridge packed. A file is read once."""
    try:
        status = archive.stat()
    except OSError:
        return None
    return _read(archive, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(_REMEMBERED)
def _read(archive: Path, _: tuple[int, int, int]) -> ServedArchive | None:
    try:
        with archive.open("rb") as file:
            entries = {entry.name: entry for entry in read_entries(file)}
            record = ArchiveRecord.from_bytes(read_whole(file, entries[RECORD_ENTRY]))
            return ServedArchive(record.contract, _sampling_defaults(file, entries))
    except (ContentError, KeyError, OSError, StrictZipError, ValueError):
        return None


def _sampling_defaults(file: BinaryIO, entries: Mapping[str, ZipEntry]) -> SamplingDefaults:
    """As far as a request could say the same; the rest is as absent (top_k 0 is transformers' word for none)."""
    if _GENERATION_CONFIG not in entries:
        return SamplingDefaults()
    config = json.loads(read_whole(file, entries[_GENERATION_CONFIG]))
    recommended = {name: config[name] for name in SamplingDefaults.model_fields if config.get(name) is not None}
    return SamplingDefaults(**{name: value for name, value in recommended.items() if _can_be_asked(name, value)})


def _can_be_asked(name: str, value: object) -> bool:
    try:
        GenerationRequest.model_validate({"prompt": "any", name: value})
    except ValidationError:
        return False
    return True
