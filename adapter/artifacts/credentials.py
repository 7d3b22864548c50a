"""User names and passwords for registries, as `docker login` and `podman login` keep them: in files, or by helpers."""

import os
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.reference import ArtifactReference

_HELPER_SECONDS = 60  # some ask the user, or a cloud
_IDENTITY_TOKEN = "<token>"  # noqa: S105 - a helper's user name where the secret is none for Basic


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


class _Part(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)


class _Entry(_Part):
    auth: str = ""
    identity_token: str = Field(default="", alias="identitytoken")


class _LoginFile(_Part):
    logins: dict[str, _Entry] = Field(default={}, alias="auths")
    helpers: dict[str, str] = Field(default={}, alias="credHelpers")
    helper: str = Field(default="", alias="credsStore")


class _HelperAnswer(_Part):
    user: str = Field(alias="Username")
    secret: str = Field(alias="Secret")


def find_login(reference: ArtifactReference, environment: Mapping[str, str] = os.environ) -> Login | None:
    """None where nobody has logged in. Raises ArtifactError, which shows nothing of what the files hold, or OSError."""
    for path in _login_files(environment):
        if path.is_file() and (login := _login_of(path, reference)):
            return login
    return None


def _login_files(environment: Mapping[str, str]) -> Iterator[Path]:
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
        return
    if runtime_directory := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime_directory) / "containers" / "auth.json"
    docker = environment.get("DOCKER_CONFIG")
    yield (Path(docker) if docker else Path.home() / ".docker") / "config.json"


def _login_of(path: Path, reference: ArtifactReference) -> Login | None:
    try:
        logins = _LoginFile.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ArtifactError(f"{path} is not as docker login, or podman login, writes it.") from None
    host = reference.host
    if helper := logins.helpers.get(host):
        return _ask_helper(helper, host, path)
    for key in _keys(reference):
        if (entry := logins.logins.get(key)) and (entry.auth or entry.identity_token):
            return _decoded(entry, host, path)
    return _ask_helper(logins.helper, host, path) if logins.helper else None


def _keys(reference: ArtifactReference) -> Iterator[str]:
    """Keys to look for, the closest first: podman keeps logins for parts of a registry, too, older Dockers URLs."""
    parts = (reference.host, *reference.repository.split("/"))
    yield from ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    yield from (f"https://{reference.host}{path}" for path in ("", "/", "/v1/", "/v2/"))


def _decoded(entry: _Entry, host: str, path: Path) -> Login:
    if entry.identity_token:
        raise _no_password(host, path)
    try:
        user, colon, password = b64decode(entry.auth, validate=True).decode().partition(":")
    except ValueError:
        raise ArtifactError(f"{path} has a login for {host} that cannot be read: log in again.") from None
    if not colon:
        raise _no_password(host, path)
    return Login(user, password.strip("\0"))


def _ask_helper(name: str, host: str, path: Path) -> Login | None:
    program = f"docker-credential-{name}"
    try:
        answer = subprocess.run(  # noqa: S603 - it is named by a file of the user's own
            [program, "get"], input=host.encode(), capture_output=True, check=False, timeout=_HELPER_SECONDS
        )
    except FileNotFoundError:
        raise ArtifactError(f"{path} names {program}, which is not installed.") from None
    except subprocess.TimeoutExpired:
        raise ArtifactError(f"{program}, which {path} names, does not answer.") from None
    if answer.returncode:
        return None  # the helper says so if it has no login for this host
    try:
        login = _HelperAnswer.model_validate_json(answer.stdout)
    except ValidationError:
        raise ArtifactError(f"{program}, which {path} names, does not answer as a credential helper does.") from None
    if login.user == _IDENTITY_TOKEN:
        raise _no_password(host, path)
    return Login(login.user, login.secret)


def _no_password(host: str, path: Path) -> ArtifactError:
    return ArtifactError(f"{path} has no user name and password for {host}: log in with them.")
