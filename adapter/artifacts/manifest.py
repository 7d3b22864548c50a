"""What a registry keeps beside blobs: manifests and indexes, https://github.com/opencontainers/image-spec."""

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from adapter.archives.record import canonical_json
from adapter.artifacts.errors import ArtifactError

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
TITLE = "org.opencontainers.image.title"

Digest: TypeAlias = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Size: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]  # bytes


class Part(BaseModel):
    # Fields that another tool has written stay when an index is written again.
    model_config = ConfigDict(
        strict=True,
        extra="allow",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        regex_engine="python-re",
    )

    @classmethod
    def read(cls, content: bytes, what: str) -> Self:
        """Raises ArtifactError."""
        try:
            return cls.model_validate_json(content)
        except ValidationError:
            raise ArtifactError(f"{what} is not as the specification of registries has it.") from None

    def to_bytes(self) -> bytes:
        """The same bytes for the same content."""
        return canonical_json(self.model_dump(by_alias=True, exclude_none=True))


class Descriptor(Part):
    """A reference to a blob or to another manifest."""

    media_type: str
    digest: Digest
    size: Size
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def of(cls, content: bytes, media_type: str, annotations: dict[str, str] | None = None) -> Self:
        return cls(media_type=media_type, digest=digest_of(content), size=len(content), annotations=annotations)

    @property
    def sha256(self) -> str:
        return self.digest.removeprefix("sha256:")


class Manifest(Part):
    schema_version: Literal[2] = 2
    media_type: Literal["application/vnd.oci.image.manifest.v1+json"] = MANIFEST_TYPE
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None


class Index(Part):
    schema_version: Literal[2] = 2
    media_type: Literal["application/vnd.oci.image.index.v1+json"] = INDEX_TYPE
    manifests: tuple[Descriptor, ...] = ()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
