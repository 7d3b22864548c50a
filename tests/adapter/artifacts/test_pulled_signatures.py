"""A signature that lies beside an archive, or in its place, before it is pulled: it stays, or is kept beside."""

from pathlib import Path
from typing import Any

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import load_private_key
from adapter.archives.verification import verify_archive
from adapter.artifacts.download import download
from adapter.artifacts.errors import ArtifactError
from tests.adapter.artifacts.transfers import pull_from, push_to
from tests.adapter.versions.fake_server import make_archive
from tests.registry_server import RegistryServer


@pytest.fixture
def there(signed: Path, keys: Path, tmp_path: Path) -> Path:
    """The archive, where it would be pulled to, with a signature by another key."""
    directory = tmp_path / "pulled"
    directory.mkdir()
    archive = directory / signed.name
    archive.write_bytes(signed.read_bytes())
    sign_file(archive, load_private_key(keys / "other.key"))
    return archive


def kept(archive: Path) -> dict[str, bytes]:
    """What lies there besides the archive and its signature."""
    return {
        path.name: path.read_bytes()
        for path in archive.parent.iterdir()
        if path not in {archive, signature_path(archive)}
    }


def test_without_a_key_that_of_this_archive_stays(registry: RegistryServer, signed: Path, there: Path) -> None:
    before = signature_path(there).read_bytes()
    pull_from(push_to(registry.reference("stays:1.0"), signed), there.parent)
    assert (signature_path(there).read_bytes(), kept(there)) == (before, {})


def test_with_a_key_that_of_another_is_kept_beside(
    registry: RegistryServer, signed: Path, there: Path, keys: Path
) -> None:
    before = signature_path(there).read_bytes()
    pushed = push_to(registry.reference("beside:1.0"), signed)
    for _ in range(2):
        verify_archive(pull_from(pushed, there.parent, keys / "release.pub"), keys / "release.pub")
    ((name, content),) = kept(there).items()
    assert content == before
    assert name.startswith("tiny-1.0.mar.sig.")


def test_with_its_own_key_it_stays_as_it_is(registry: RegistryServer, signed: Path, there: Path, keys: Path) -> None:
    pushed = push_to(registry.reference("own:1.0"), signed)
    own = signature_path(there)
    own.write_bytes(signature_path(signed).read_bytes() + b"\n")
    before = own.read_bytes()
    pull_from(pushed, there.parent, keys / "release.pub")
    assert (own.read_bytes(), kept(there)) == (before, {})


@pytest.mark.parametrize("is_signed", [True, False])
def test_that_of_another_archive_is_kept_beside_also_where_there_is_none_to_replace_it(
    registry: RegistryServer, archive: Path, keys: Path, tmp_path: Path, *, is_signed: bool
) -> None:
    if is_signed:
        sign_file(archive, load_private_key(keys / "release.key"))
    pushed = push_to(registry.reference(f"stale-{is_signed}:1.0".lower()), archive)
    other = make_archive(tmp_path / "pulled", "1.0", weight_bytes=48)
    stale = sign_file(other, load_private_key(keys / "release.key")).read_bytes()
    other.unlink()
    pulled = pull_from(pushed, tmp_path / "pulled")
    assert list(kept(pulled).values()) == [stale]
    assert signature_path(pulled).exists() == is_signed


def test_an_archive_that_has_come_meanwhile_is_not_replaced(
    registry: RegistryServer, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = push_to(registry.reference("meanwhile:1.0"), signed)

    def download_slowly(*arguments: Any) -> None:
        download(*arguments)
        make_archive(tmp_path / "pulled", "1.0", weight_bytes=48)

    monkeypatch.setattr("adapter.artifacts.pull.download", download_slowly)
    with pytest.raises(ArtifactError, match="is there already, and is not oci://"):
        pull_from(pushed, tmp_path / "pulled")
    other = make_archive(tmp_path / "other", "1.0", weight_bytes=48)
    assert (tmp_path / "pulled" / other.name).read_bytes() == other.read_bytes()
