"""Logins where docker and podman keep them, and what becomes of files that are broken."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from adapter.artifacts.credentials import Login, find_login
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.reference import ArtifactReference

REFERENCE = ArtifactReference.parse("oci://registry.example:5000/models/tiny:1.0")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"DOCKER_CONFIG": str(tmp_path / "docker"), "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}


def encoded(login: str) -> dict[str, str]:
    return {"auth": b64encode(login.encode()).decode()}


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def docker(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "config.json"


def write_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "docker-credential-vault"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.mark.parametrize(
    "key",
    [
        "registry.example:5000",
        "registry.example:5000/models",
        "registry.example:5000/models/tiny",
        "https://registry.example:5000",
        "https://registry.example:5000/v1/",
    ],
)
def test_it_is_found_by_each_name_that_tools_give_a_registry(
    tmp_path: Path, environment: dict[str, str], key: str
) -> None:
    write(docker(tmp_path), {"auths": {"other.example": encoded("x:y"), key: encoded("alice:open:sesame")}})
    assert find_login(REFERENCE, environment) == Login("alice", "open:sesame")


def test_the_closest_name_counts(tmp_path: Path, environment: dict[str, str]) -> None:
    logins = {"registry.example:5000": encoded("all:x"), "registry.example:5000/models": encoded("models:y")}
    write(docker(tmp_path), {"auths": logins})
    assert find_login(REFERENCE, environment) == Login("models", "y")


def test_podmans_file_comes_before_dockers(tmp_path: Path, environment: dict[str, str]) -> None:
    write(docker(tmp_path), {"auths": {REFERENCE.host: encoded("docker:x")}})
    write(tmp_path / "runtime" / "containers" / "auth.json", {"auths": {REFERENCE.host: encoded("podman:y")}})
    assert find_login(REFERENCE, environment) == Login("podman", "y")


def test_a_file_that_is_named_is_the_only_one(tmp_path: Path, environment: dict[str, str]) -> None:
    write(docker(tmp_path), {"auths": {REFERENCE.host: encoded("docker:x")}})
    write(tmp_path / "named.json", {"auths": {}})
    assert find_login(REFERENCE, {**environment, "REGISTRY_AUTH_FILE": str(tmp_path / "named.json")}) is None


def test_without_files_nobody_is_logged_in(environment: dict[str, str]) -> None:
    assert find_login(REFERENCE, environment) is None


@pytest.mark.parametrize("names", [{"credHelpers": {REFERENCE.host: "vault"}}, {"credsStore": "vault"}])
def test_a_helper_is_asked_for_the_host(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, names: dict[str, object]
) -> None:
    write(docker(tmp_path), {"auths": {REFERENCE.host: {}}, **names})
    answer = '[ "$1" = get ] && printf \'{"ServerURL":"x","Username":"%s","Secret":"sesame"}\' "$(cat)"'
    write_helper(tmp_path, monkeypatch, answer)
    assert find_login(REFERENCE, environment) == Login(REFERENCE.host, "sesame")


def test_a_helper_that_knows_nobody_is_no_failure(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(docker(tmp_path), {"credsStore": "vault"})
    write_helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert find_login(REFERENCE, environment) is None


def test_a_helper_that_is_not_there_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    write(docker(tmp_path), {"credsStore": "absent"})
    with pytest.raises(ArtifactError, match=r"names docker-credential-absent, which is not installed"):
        find_login(REFERENCE, environment)


def test_a_helper_that_answers_nonsense_is_said_without_its_words(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(docker(tmp_path), {"credsStore": "vault"})
    write_helper(tmp_path, monkeypatch, "echo sesame")
    with pytest.raises(ArtifactError, match="does not answer as a credential helper does") as refused:
        find_login(REFERENCE, environment)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"auths": {REFERENCE.host: {"auth": "sesame!"}}}, id="no base64"),
        pytest.param({"auths": {REFERENCE.host: {"auth": 5}}}, id="a number"),
        pytest.param({"auths": {REFERENCE.host: {"identitytoken": "sesame"}}}, id="a token of another kind"),
        pytest.param({"auths": {REFERENCE.host: encoded("sesame")}}, id="no colon"),
        pytest.param({"auths": "sesame"}, id="no table"),
        pytest.param("sesame", id="no object"),
    ],
)
def test_a_file_that_is_broken_is_named_and_not_shown(
    tmp_path: Path, environment: dict[str, str], content: object
) -> None:
    write(docker(tmp_path), content)
    with pytest.raises(ArtifactError, match=r"config\.json") as refused:
        find_login(REFERENCE, environment)
    assert "sesame" not in str(refused.value)


def test_a_password_is_not_shown_where_a_login_is() -> None:
    assert "sesame" not in repr(Login("alice", "sesame"))
