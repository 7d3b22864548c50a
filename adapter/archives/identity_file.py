"""The identities that may sign without a key of their own, and the sigstore instance that is trusted to know them.

Such a file can stand wherever a public key can. It holds the trusted root, so that no network is needed.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapter.archives.signing_keys import SigningKeyError
from adapter.strict_yaml import MAX_BYTES, YamlError, load_yaml
from adapter.validation.file_errors import file_errors


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, regex_engine="python-re")


class Identity(_Part):
    """The issuer and the subject that a certificate must name."""

    issuer: str = Field(
        pattern=r"^https?://[!-~]+\Z", description="The issuer of the login, as OpenID Connect calls it."
    )
    subject: str = Field(
        # Any printable character but `*`, which may stand at the end behind a slash, for everything below.
        pattern=r"^[!-)+-~]+(/\*)?\Z",
        description="Who has logged in: an e-mail address, or a URL as that of a workflow.",
    )

    def is_of(self, issuer: str, subject: str) -> bool:
        if self.subject.endswith("/*"):
            return issuer == self.issuer and subject.startswith(self.subject.removesuffix("*"))
        return (issuer, subject) == (self.issuer, self.subject)


class IdentityFile(_Part):
    """`trusted_root`: the path of sigstore's trusted_root.json from the file's directory, or its content."""

    identities: list[Identity] = Field(min_length=1)
    trusted_root: Annotated[str, Field(min_length=1)] | dict[str, Any]

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """Reads the `content` of the file at `path`, and the trusted root. Raises SigningKeyError, or OSError."""
        try:
            named = cls.model_validate(load_yaml(content))
            whole = named.model_copy(update={"trusted_root": _read_root(named.trusted_root, path.parent)})
            load_yaml(whole.to_bytes())  # a server reads its own copy like this
        except ValidationError as error:
            raise SigningKeyError(
                f"{path} is no public key, and no file of identities: {file_errors(error)}."
            ) from error
        except YamlError as error:
            raise SigningKeyError(f"{path} is no public key, and no file of identities: {error}.") from error
        return whole

    def to_bytes(self) -> bytes:
        """A file of identities again (JSON is YAML): the same bytes for the same content."""
        return json.dumps(self.model_dump(), indent=2, sort_keys=True).encode() + b"\n"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _read_root(named: str | dict[str, Any], directory: Path) -> dict[str, Any]:
    if isinstance(named, dict):
        return named
    path = directory / named
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        root = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SigningKeyError(f"{path} is no trusted root: it is not JSON.") from error
    if len(content) > MAX_BYTES or not isinstance(root, dict):
        raise SigningKeyError(f"{path} is no trusted root of sigstore.")
    return root
