"""An archive that is signed after its version was deployed: deploying it once more stores the signature."""

from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.archives.verification import VerificationError, verify_archive
from adapter.versions.deployment import DeploymentOptions, deploy
from tests.adapter.versions.fake_server import FakeServer, Lines, let_versions_answer_as_recorded, make_archive


@pytest.fixture
def archive(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of tiny 1.0, which is deployed, and the default."""
    let_versions_answer_as_recorded(monkeypatch)
    archive = make_archive(tmp_path / "release", "1.0")
    deploy(server, archive, DeploymentOptions(), Lines())
    server.management.changes.clear()
    return archive


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where release.key, release.pub and those of another are."""
    for name in ("release", "other"):
        create_key_pair(tmp_path / name)
    return tmp_path


def test_it_is_put_beside_the_stored_archive(server: FakeServer, archive: Path, keys: Path, lines: Lines) -> None:
    stored, key = server.store.path(archive.name), keys / "release.pub"
    signature = sign_file(archive, load_private_key(keys / "release.key"))
    for _ in range(2):
        deploy(server, archive, DeploymentOptions(key), lines)
    assert verify_archive(stored, key).is_signed
    assert signature_path(stored).read_bytes() == signature.read_bytes()
    assert lines.count("its signature is new in the store: tiny-1.0.mar.sig") == 1
    assert server.management.changes == []


def test_one_of_another_key_is_refused_and_not_stored(
    server: FakeServer, archive: Path, keys: Path, lines: Lines
) -> None:
    sign_file(archive, load_private_key(keys / "other.key"))
    with pytest.raises(VerificationError):
        deploy(server, archive, DeploymentOptions(keys / "release.pub"), lines)
    assert server.stored() == ["tiny-1.0.mar"]


def test_one_of_another_file_is_not_stored(server: FakeServer, archive: Path, keys: Path, lines: Lines) -> None:
    another = make_archive(keys, "2.0")
    signature_path(archive).write_bytes(sign_file(another, load_private_key(keys / "release.key")).read_bytes())
    deploy(server, archive, DeploymentOptions(), lines)
    assert server.stored() == ["tiny-1.0.mar"]
