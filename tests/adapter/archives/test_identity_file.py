"""The file that stands in the place of a public key: what it takes, and what it says of what it does not."""

import json
from pathlib import Path

import pytest

from adapter.archives.signing_keys import SigningKeyError, create_key_pair
from adapter.archives.trusted_signer import load_trusted_signer

ROOT = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
IDENTITY = """
identities:
  - issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/owner/models/.github/workflows/release.yml@refs/tags/*
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "trusted_root.json").write_text(json.dumps(ROOT))
    return tmp_path


def write(directory: Path, content: str, name: str = "identities.yaml") -> Path:
    path = directory / name
    path.write_text(content)
    return path


def test_the_root_is_a_file_beside_it_or_what_is_in_one(directory: Path) -> None:
    beside = load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n"))
    inside = load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: {json.dumps(ROOT)}\n", "inside.yaml"))
    assert beside.fingerprint == inside.fingerprint


def test_its_copy_says_the_same_without_the_other_file(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    signer = load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n"))
    copy = tmp_path_factory.mktemp("elsewhere") / "required_key.pub"
    copy.write_bytes(signer.to_bytes())
    assert load_trusted_signer(copy).fingerprint == signer.fingerprint
    assert load_trusted_signer(copy).to_bytes() == copy.read_bytes()


def test_another_root_or_identity_makes_it_another_signer(directory: Path) -> None:
    path = write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n")
    before = load_trusted_signer(path).fingerprint
    write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n".replace("/owner/", "/another/"))
    another_owner = load_trusted_signer(path).fingerprint
    write(directory, json.dumps(ROOT | {"tlogs": []}), "trusted_root.json")
    assert len({before, another_owner, load_trusted_signer(path).fingerprint}) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("", "file: ", id="nothing"),
        pytest.param("a public key", "file: ", id="a word"),
        pytest.param("\0", "it is not YAML", id="no text"),
        pytest.param("identities: [\n", "it is not YAML", id="half of it"),
        pytest.param("trusted_root: trusted_root.json", "identities: Field required", id="no identities"),
        pytest.param("identities: []\ntrusted_root: trusted_root.json", "identities: ", id="an empty list"),
        pytest.param(IDENTITY, "trusted_root: Field required", id="no root"),
        pytest.param(f"{IDENTITY}trusted_root: ''", "trusted_root", id="an empty path"),
        pytest.param(f"{IDENTITY}trusted_root: 1", "trusted_root", id="a number"),
        pytest.param(f"{IDENTITY}trusted_root: trusted_root.json\nmore: 1", "more: Extra inputs", id="a key more"),
        pytest.param(f"{IDENTITY}{IDENTITY}", "the key 'identities' is there already", id="a key twice"),
        pytest.param(
            f"{IDENTITY.replace('issuer', 'isuer')}trusted_root: trusted_root.json",
            "issuer: Field required",
            id="a typo",
        ),
        pytest.param(
            f"{IDENTITY.replace('https://token', 'token')}trusted_root: trusted_root.json", "issuer: ", id="no address"
        ),
        pytest.param(f"{IDENTITY.replace('*', '**')}trusted_root: trusted_root.json", "subject: ", id="two stars"),
        pytest.param(f"{IDENTITY.replace('/*', '*')}trusted_root: trusted_root.json", "subject: ", id="a star alone"),
        pytest.param(
            f"{IDENTITY.replace('owner', '*')}trusted_root: trusted_root.json", "subject: ", id="a star in the middle"
        ),
    ],
)
def test_refuses_what_names_nobody(directory: Path, content: str, reason: str) -> None:
    path = write(directory, content)
    with pytest.raises(SigningKeyError) as refusal:
        load_trusted_signer(path)
    assert str(refusal.value).startswith(f"{path} is no public key, and no file of identities: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, " " * 2**16 + "{}"], ids=lambda content: content[:3])
def test_refuses_a_root_that_is_none(directory: Path, content: str) -> None:
    write(directory, content, "trusted_root.json")
    with pytest.raises(SigningKeyError, match=r"trusted_root\.json is no trusted root"):
        load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n"))


def test_refuses_what_a_server_could_not_read_again(directory: Path) -> None:
    write(directory, json.dumps(ROOT | {"tlogs": ["x" * 2**16]})[: 2**16 - 3] + '"]}', "trusted_root.json")
    with pytest.raises(SigningKeyError, match="it is larger than 64 KiB"):
        load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n"))


def test_a_root_that_is_not_there_is_said(directory: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        load_trusted_signer(write(directory, f"{IDENTITY}trusted_root: absent.json\n"))


def test_without_the_extra_it_says_what_to_install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.archives.trusted_signer.find_spec", lambda _: None)
    path = write(directory, f"{IDENTITY}trusted_root: trusted_root.json\n")
    with pytest.raises(SigningKeyError, match=r"pip install 'torchbridge\[sigstore\]'"):
        load_trusted_signer(path)


def test_a_key_needs_no_extra(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.archives.trusted_signer.find_spec", lambda _: None)
    create_key_pair(directory / "release")
    signer = load_trusted_signer(directory / "release.pub")
    assert signer.to_bytes() == (directory / "release.pub").read_bytes()
