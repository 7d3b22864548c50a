"""oci://HOST[:PORT]/REPOSITORY:TAG or @sha256:…, the place of an archive in a registry.

Repositories and tags are what https://github.com/opencontainers/distribution-spec takes.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from adapter.artifacts.errors import ArtifactError

SCHEME = "oci://"

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    SCHEME + r"(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?)"
    rf"/(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))",
    re.ASCII,
)


def is_reference(source: str) -> bool:
    return source.startswith(SCHEME)


@dataclass(frozen=True, slots=True)
class ArtifactReference:
    """A place with a tag, which may come to mean another archive, or with a digest, which cannot."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ArtifactError, which shows no password where there is one in the text."""
        if "@" in text.removeprefix(SCHEME).partition("/")[0]:
            raise ArtifactError("A reference holds no user and no password: docker login, or podman login, keeps them.")
        match = _REFERENCE.fullmatch(text)
        if match is None or not _names_a_host(match["host"]):
            raise ArtifactError(
                f"{text!r} is no reference: oci://HOST/REPOSITORY:TAG or oci://HOST/REPOSITORY@sha256:… is one, the "
                "repository in lower case."
            )
        return cls(**match.groupdict())

    def __str__(self) -> str:
        name = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{SCHEME}{self.host}/{self.repository}{name}"

    @property
    def name(self) -> str:
        """The tag or digest by which the registry knows the manifest."""
        return self.digest or self.tag or ""

    def pinned(self, digest: str) -> Self:
        return replace(self, tag=None, digest=digest)


def split_host(host: str) -> tuple[str, int | None]:
    """The host alone, an IPv6 address without its brackets, and its port. Raises ValueError where that is none."""
    parts = urlsplit(f"//{host}")
    return parts.hostname or "", parts.port


def is_loopback(host: str) -> bool:
    name, _ = split_host(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _names_a_host(host: str) -> bool:
    try:
        return bool(split_host(host)[0])
    except ValueError:
        return False
