"""What an archive says of itself and of each file in it: canonical JSON, so that equal records have equal bytes.

The record's SHA-256 stands for all that the archive holds. It is the `model_digest` of every answer.
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from adapter.archives.archive_names import Sha256, archive_file_name
from adapter.names import Name

MANIFEST_ENTRY = "MAR-INF/MANIFEST.json"
RECORD_ENTRY = "MAR-INF/RECORD.json"
BOM_ENTRY = "MAR-INF/bom.cdx.json"

# Words of a stranger's archive are shown on terminals.
Word = Annotated[str, Field(pattern=r"^[!-~]+\Z")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]  # as a file system counts bytes


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, regex_engine="python-re")


class FileRecord(_Part):
    size: _Count = Field(description="The size of the file, in bytes.")
    sha256: Sha256 = Field(description="The SHA-256 of the file.")


class ModelFacts(_Part):
    """Read from config.json and the heads of the weight files."""

    architecture: Word | None = Field(
        description="The class of the model in transformers; null if config.json names none."
    )
    parameters: dict[Word, _Count] = Field(
        description="The number of parameters of each data type, as safetensors names it."
    )
    tokenizer_sha256: Sha256 = Field(
        description="The SHA-256 of the canonical JSON of the tokenizer's files and their SHA-256."
    )
    source: Word | None = Field(description="The package URL of the hub's model and commit; null for a directory.")


class Versions(_Part):
    """Versions of the packages that the model was checked with."""

    torch: Word = Field(description="The version of torch.")
    torchbridge: Word = Field(description="The version of torchbridge.")
    transformers: Word = Field(description="The version of transformers.")


class ArchiveRecord(_Part):
    format: Literal[1] = 1
    contract: PositiveInt = Field(
        default=1, description="The version of the contract that its worker keeps (adapter/worker_contract.py)."
    )
    name: Name
    version: Name
    model: ModelFacts
    versions: Versions
    files: dict[Word, FileRecord] = Field(description="Every entry of the archive but the record, by its name.")

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises ValueError, also where the same record could be written in another way."""
        record = cls.model_validate_json(content)
        if record.to_bytes() != content:
            raise ValueError("the record is not in its canonical form")
        return record

    def to_bytes(self) -> bytes:
        # The first archives did not say which contract they keep: a record without it is of version 1.
        return canonical_json(self.model_dump(exclude={"contract"} if self.contract == 1 else None))

    @property
    def unpacked_size(self) -> int:
        """Bytes of all files but the record itself."""
        return sum(file.size for file in self.files.values())

    @property
    def file_name(self) -> str:
        return archive_file_name(self.name, self.version)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()


def canonical_json(value: object) -> bytes:
    """JSON as RFC 8785 writes it, and a line feed: all our numbers are integers and all our texts ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
