"""Sigstore's bundles travel with an archive as signatures by keys do, over Debian's docker-registry."""

import json
import shutil
from pathlib import Path

import pytest

from adapter.archives.signature_paths import keyless_signature_path, signature_path
from adapter.archives.verification import verify_archive
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.registry import Repository
from tests.adapter.artifacts.transfers import pull_from, push_to
from tests.adapter.versions.fake_server import make_archive
from tests.registry_server import RegistryServer
from tests.sigstore_instance import ISSUER, SUBJECT, SigstoreInstance, write_identities

OTHER = SUBJECT.replace("owner", "another")


@pytest.fixture(scope="module")
def instance() -> SigstoreInstance:
    return SigstoreInstance()


@pytest.fixture
def identities(instance: SigstoreInstance, tmp_path: Path) -> Path:
    return write_identities(tmp_path, instance)


def sign(instance: SigstoreInstance, archive: Path, subject: str = SUBJECT) -> None:
    keyless_signature_path(archive).write_text(json.dumps(instance.sign(archive, subject=subject)))


def test_it_travels_as_a_referrer_beside_that_of_a_key(
    registry: RegistryServer, instance: SigstoreInstance, signed: Path, keys: Path, tmp_path: Path
) -> None:
    sign(instance, signed)
    identities = write_identities(tmp_path, instance)
    pushed = push_to(registry.reference("keyless:1.0"), signed)
    with Repository(pushed) as repository:
        index = json.loads(repository.read_manifest(str(pushed.digest).replace(":", "-")))
    types = [each["artifactType"] for each in index["manifests"]]
    assert types.count("application/vnd.dev.sigstore.bundle.v0.3+json") == 2
    both = pull_from(pushed, tmp_path / "both")
    for each in (signature_path, keyless_signature_path):
        assert each(both).read_bytes() == each(signed).read_bytes()
    for signer in (keys / "release.pub", identities):
        pulled = pull_from(pushed, tmp_path / f"by {signer.name}", signer)
        assert verify_archive(pulled, signer).is_signed


@pytest.mark.parametrize("signs", ["nobody", "another"])
def test_what_no_identity_vouches_for_is_not_pulled(
    registry: RegistryServer, instance: SigstoreInstance, signed: Path, tmp_path: Path, signs: str
) -> None:
    identities = write_identities(tmp_path, instance)
    if signs == "another":
        sign(instance, signed, OTHER)
    pushed = push_to(registry.reference(f"keyless-{signs}:1.0"), signed)
    reason = "it is not signed" if signs == "nobody" else f"it is signed by {OTHER}"
    with pytest.raises(ArtifactError, match=reason):
        pull_from(pushed, tmp_path / "pulled", identities)
    assert not (tmp_path / "pulled").exists()


def test_among_those_that_others_have_pushed_it_is_found(
    registry: RegistryServer, instance: SigstoreInstance, archive: Path, identities: Path, tmp_path: Path
) -> None:
    for subject in (OTHER, SUBJECT, f"{OTHER}.1", f"{OTHER}.2"):
        sign(instance, archive, subject)
        pushed = push_to(registry.reference("keyless-many:1.0"), archive)
    assert verify_archive(pull_from(pushed, tmp_path / "pulled", identities), identities).is_signed


def test_one_of_another_file_is_not_pushed(
    registry: RegistryServer, instance: SigstoreInstance, archive: Path, tmp_path: Path
) -> None:
    sign(instance, archive)
    other = make_archive(tmp_path / "other", "1.0", weight_bytes=48)
    shutil.copy(keyless_signature_path(archive), keyless_signature_path(other))
    with pytest.raises(ArtifactError, match=r"tiny-1\.0\.mar\.sigstore\.json is not a signature of tiny-1\.0\.mar"):
        push_to(registry.reference("keyless-stale:1.0"), other)


def test_an_issuer_is_asked_for_as_well(
    registry: RegistryServer, instance: SigstoreInstance, archive: Path, tmp_path: Path
) -> None:
    sign(instance, archive)
    pushed = push_to(registry.reference("keyless-issuer:1.0"), archive)
    identities = write_identities(tmp_path, instance, ("https://accounts.example.com", SUBJECT))
    with pytest.raises(ArtifactError, match=f"it is signed by {SUBJECT} of {ISSUER}"):
        pull_from(pushed, tmp_path / "pulled", identities)
