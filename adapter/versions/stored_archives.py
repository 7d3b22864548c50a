"""The archives in a server's store, whether it runs or not."""

from pydantic import BaseModel, Field
from rich.filesize import decimal

from adapter.archives.archive_reader import ArchiveError, read_record
from adapter.version_order import version_order
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState

_SHOWN_DIGITS = 12


class StoredArchive(BaseModel):
    archive: str = Field(description="The name of the file in the store.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version of the model.")
    size: int = Field(description="The size of the file, in bytes.")
    digest: str = Field(description="The digest of its content, which is `model_digest` of its answers.")
    is_deployed: bool = Field(description="Whether the version is deployed.")
    is_default: bool = Field(description="Whether the version is the default.")


def stored_archives(files: ServerFiles) -> list[StoredArchive]:
    state = ServerState.read(files.state) or ServerState()
    found = []
    for path in files.store.glob("*.mar"):
        try:
            record = read_record(path)
        except ArchiveError:
            continue  # not one of ours: nothing is served from it
        model = state.models.get(record.name)
        found.append(
            StoredArchive(
                archive=path.name,
                model=record.name,
                version=record.version,
                size=path.stat().st_size,
                digest=record.digest,
                is_deployed=model is not None and record.version in model.versions,
                is_default=model is not None and record.version == model.default,
            )
        )
    return sorted(found, key=lambda each: (each.model, version_order(each.version)))


def as_rows(archives: list[StoredArchive]) -> list[tuple[str, ...]]:
    """A row for each, after one with the names of the columns."""
    rows = [(each.archive, decimal(each.size), each.digest[:_SHOWN_DIGITS], _role(each)) for each in archives]
    return [("archive", "size", "digest", "served as"), *rows]


def _role(archive: StoredArchive) -> str:
    return "default" if archive.is_default else "deployed" if archive.is_deployed else ""
