"""What an archive is known by: the name of its file, and digests. A look at a server takes no more of an archive."""

from typing import Annotated, TypeAlias

from pydantic import Field

Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\Z")]


def archive_file_name(name: str, version: str) -> str:
    return f"{name}-{version}.mar"
