"""Shows what an archive says of itself, to people as tables and to programs as JSON."""

from pydantic import BaseModel, Field
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from adapter.archives.model_facts import weight_bytes
from adapter.archives.record import ArchiveRecord, FileRecord, ModelFacts, Versions

_SHOWN_DIGITS = 16


class WeightBytes(BaseModel):
    """Bytes that the weights take in memory."""

    stored: int = Field(description="The bytes of the weights as the files have them.")
    float32: int = Field(
        description="The bytes of the weights as float32, which a processor without units for 16 bits needs."
    )


class InspectedArchive(BaseModel):
    """The archive's record, and what follows from it."""

    digest: str = Field(description="The archive's digest, which is `model_digest` of each answer.")
    weight_bytes: WeightBytes = Field(description="The memory that the weights take, in bytes.")
    format: int = Field(description="The version of the form of the record.")
    contract: int = Field(description="The version of the contract that its worker keeps (adapter/worker_contract.py).")
    name: str = Field(description="The name of the model.")
    version: str = Field(description="The version of the model.")
    model: ModelFacts = Field(description="What is known of the model.")
    versions: Versions = Field(description="The versions of the packages that the model was checked with.")
    files: dict[str, FileRecord] = Field(description="Every entry of the archive but the record, by its name.")


def as_json(record: ArchiveRecord) -> str:
    stored, in_float32 = weight_bytes(record.model)
    inspected = InspectedArchive(
        digest=record.digest, weight_bytes=WeightBytes(stored=stored, float32=in_float32), **dict(record)
    )
    return inspected.model_dump_json(indent=2)


def as_tables(record: ArchiveRecord) -> RenderableType:
    return Group(_facts(record), "", _files(record))


def _facts(record: ArchiveRecord) -> Table:
    model = record.model
    facts = {
        "name": record.name,
        "version": record.version,
        "digest": record.digest,
        "architecture": model.architecture or "unknown",
        "parameters": ", ".join(f"{count:,} {dtype}" for dtype, count in model.parameters.items()),
        "memory of weights": _memory(record),
        "tokenizer": model.tokenizer_sha256,
        "source": model.source or "a directory",
        "contract": str(record.contract),
        "packed with": ", ".join(f"{package} {version}" for package, version in record.versions.model_dump().items()),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, Text(value, overflow="fold"))
    return table


def _memory(record: ArchiveRecord) -> str:
    """The memory on this machine and on others: the worker may run on another one."""
    stored, in_float32 = weight_bytes(record.model)
    if stored == in_float32:
        return decimal(stored)
    return f"{decimal(stored)} as stored, {decimal(in_float32)} in float32: on a CPU without units for 16 bits"


def _files(record: ArchiveRecord) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("sha256 begins with", no_wrap=True)  # the JSON has all of it, which does not fit beside names
    for name, file in record.files.items():
        table.add_row(Text(name), decimal(file.size), file.sha256[:_SHOWN_DIGITS])
    return table
