"""Writes a model and the handler into a TorchServe archive (.mar): the same input always gives the same bytes.

torch-model-archiver itself re-compresses the weights, puts the time into the archive and deletes $TMPDIR/<model name>.
"""

import hashlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from model_archiver.manifest_components.manifest import Manifest, RuntimeType  # type: ignore[import-untyped]
from model_archiver.manifest_components.model import Model  # type: ignore[import-untyped]
from pydantic import BaseModel, Field, ValidationError

from adapter.archives.model_config import check_model_config
from adapter.archives.model_source import served_files
from adapter.schema import NAME_PATTERN

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_MODEL_CONFIG = PROJECT / "handlers" / "model-config.yaml"

_HANDLER = "text_generation.py"
_MANIFEST = "MAR-INF/MANIFEST.json"
_MODEL_CONFIG = "model-config.yaml"
_SHARED_WITH_HANDLER = ("adapter/__init__.py", "adapter/schema.py", "adapter/event_stream.py")
_EARLIEST_DATE = (1980, 1, 1, 0, 0, 0)  # of the zip format
_BLOCK_BYTES = 4 * 2**20


class ArchiveError(ValueError):
    """The archive cannot be written or read, and the message says why."""


class _ManifestModel(BaseModel):
    name: str = Field(alias="modelName")
    version: str = Field(alias="modelVersion")


class ArchiveManifest(BaseModel):
    """What an archive says of itself."""

    model: _ManifestModel
    files: dict[str, str] = Field(default={}, description="SHA-256 by the name inside the archive.")


def build_archive(
    model_directory: Path,
    name: str,
    version: str,
    output_directory: Path,
    config_file: Path = DEFAULT_MODEL_CONFIG,
    *,
    check: Callable[[Path, Path], None] = lambda _model_directory, _config_file: None,
) -> Path:
    """Writes NAME-VERSION.mar into `output_directory`, or leaves it alone if it already holds just this.

    `check` is the last word before anything is written, on the model's directory and the configuration.
    """
    for word, value in (("name", name), ("version", version)):
        if not re.fullmatch(NAME_PATTERN, value):
            raise ArchiveError(
                f"{value!r} cannot be a {word}: letters, digits, . _ and -, and it must not start with token."
            )
    check_model_config(config_file)
    sources = dict(sorted(_sources(model_directory, config_file)))
    manifest = _manifest(name, version, {entry: _digest(path) for entry, path in sources.items()})
    archive = output_directory / f"{name}-{version}.mar"
    if archive.exists():
        existing = _read_manifest_bytes(archive)
        if existing == manifest:
            return archive
        _refuse_other_identity(archive, existing, name, version)
    check(model_directory, config_file)
    output_directory.mkdir(parents=True, exist_ok=True)
    _write(archive, manifest, sources)
    return archive


def read_manifest(archive: Path) -> ArchiveManifest:
    try:
        return ArchiveManifest.model_validate_json(_read_manifest_bytes(archive) or b"")
    except ValidationError as error:
        raise ArchiveError(f"{archive} is not a model archive.") from error


def _sources(model_directory: Path, config_file: Path) -> Iterator[tuple[str, Path]]:
    yield _MODEL_CONFIG, config_file
    # TorchServe imports the handler by its base name from the archive's root (ts/model_loader.py, _load_handler_file).
    yield _HANDLER, PROJECT / "handlers" / _HANDLER
    for path in (PROJECT / "handlers").glob("*.py"):
        if path.name != _HANDLER:
            yield f"handlers/{path.name}", path
    for entry in _SHARED_WITH_HANDLER:
        yield entry, PROJECT / entry
    for path in served_files(model_directory):
        yield f"model/{path.name}", path


def _manifest(name: str, version: str, digests: dict[str, str]) -> bytes:
    model = Model(name, None, _HANDLER, model_version=version, config_file=_MODEL_CONFIG)
    manifest = Manifest(RuntimeType.PYTHON.value, model).manifest_dict
    # TorchServe ignores keys that it does not know.
    fixed = manifest | {"createdOn": "01/01/1980 00:00:00", "files": digests}
    return json.dumps(fixed, indent=2).encode()


def _write(archive: Path, manifest: bytes, sources: dict[str, Path]) -> None:
    """Writes to a temporary file first: an archive is whole or absent."""
    descriptor, temporary_name = tempfile.mkstemp(prefix=f".{archive.name}.", dir=archive.parent)
    temporary = Path(temporary_name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as mar:
                mar.writestr(_entry(_MANIFEST, len(manifest)), manifest)
                for name, path in sources.items():
                    with path.open("rb") as source, mar.open(_entry(name, path.stat().st_size), "w") as target:
                        for block in _blocks(source):
                            target.write(block)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)


def _entry(name: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST_DATE)
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # Unix, also where it is written on another system
    entry.file_size = size
    return entry


def _read_manifest_bytes(archive: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(archive) as mar:
            return mar.read(_MANIFEST)
    except (zipfile.BadZipFile, KeyError):
        return None
    except OSError as error:
        raise ArchiveError(f"{archive}: {error.strerror}") from error


def _refuse_other_identity(archive: Path, manifest: bytes | None, name: str, version: str) -> None:
    # a-1 of version 2 and a of version 1-2 have the same file name.
    if manifest is None:
        return
    model = read_manifest(archive).model
    if (model.name, model.version) != (name, version):
        raise ArchiveError(f"{archive} holds {model.name!r} of version {model.version!r}: choose another version.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(_BLOCK_BYTES):
        yield block
