"""A thousand registries that somebody has laid hands on: what a server loads is what was meant, or nothing.

Meant is what has the digest that is asked for, or what was signed with the key. A tag alone means what it means there.
"""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.archives.verification import VerificationError
from adapter.artifacts.errors import ArtifactError
from adapter.versions.errors import VersionError
from adapter.versions.model_store import ModelStore
from adapter.versions.pulled_archives import local_archive
from adapter.versions.server_files import ServerFiles
from adapter.versions.verified_copies import install_verified
from tests.adapter.artifacts.fake_registry import FakeRegistry, running_fake_registry
from tests.adapter.artifacts.transfers import push_to
from tests.adapter.versions.fake_server import make_archive
from tests.adapter.versions.tampering import HANDS

_REGISTRIES = 1_000 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 100
_MOST_HANDS = 3


@dataclass(frozen=True)
class Published:
    """`archives`: those that are signed with `key`, by their names. `by_digest`: the same, by references."""

    registry: FakeRegistry
    key: Path
    archives: dict[str, bytes]
    by_digest: dict[str, bytes]
    by_tag: tuple[str, ...]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Two releases, and beside them another 2.0 of somebody's, with a signature of theirs."""
    directory = tmp_path_factory.mktemp("published")
    for name in ("release", "other"):
        create_key_pair(directory / name)
    with running_fake_registry(FakeRegistry()) as registry, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOCKER_CONFIG", str(directory))
        environment.delenv("REGISTRY_AUTH_FILE", raising=False)
        archives, by_digest = {}, {}
        for version in ("1.0", "2.0"):
            archive = make_archive(directory / version, version)
            sign_file(archive, load_private_key(directory / "release.key"))
            archives[archive.name] = archive.read_bytes()
            by_digest[str(push_to(f"oci://{registry.host}/tiny:{version}", archive))] = archive.read_bytes()
        evil = make_archive(directory / "evil", "2.0", weight_bytes=48)
        sign_file(evil, load_private_key(directory / "other.key"))
        push_to(f"oci://{registry.host}/tiny:evil", evil)
        tags = tuple(f"oci://{registry.host}/tiny:{tag}" for tag in ("1.0", "2.0", "evil"))
        yield Published(registry, directory / "release.pub", archives, by_digest, tags)


def installed(reference: str, directory: Path, key: Path | None) -> dict[str, bytes]:
    """What lies in the store when it was pulled, verified and put there as for `serve` and `deploy`."""
    files = ServerFiles(directory)
    with local_archive(reference, files, key, lambda _: None) as archive:
        install_verified(ModelStore(files.store), archive, key)
    return {path.name: path.read_bytes() for path in files.store.glob("*.mar")}


def test_untouched_each_of_them_is_served(published: Published, tmp_path: Path) -> None:
    for number, (reference, archive) in enumerate(published.by_digest.items()):
        assert list(installed(reference, tmp_path / str(number), published.key).values()) == [archive]


def test_nothing_is_served_that_was_not_meant(published: Published, tmp_path: Path) -> None:
    registry, chance = published.registry, random.Random(1_000)
    whole = deepcopy((registry.blobs, registry.manifests))
    refused = 0
    for number in range(_REGISTRIES):
        registry.blobs, registry.manifests = deepcopy(whole)
        hands = chance.choices(HANDS, k=chance.randint(1, _MOST_HANDS))
        for hand in hands:
            with suppress(
                ArithmeticError, AttributeError, LookupError, TypeError, ValueError
            ):  # of what another has spoilt
                hand(registry, chance)
        registry.has_referrers = chance.random() < 0.7
        pinned = chance.choice([*published.by_digest, None])
        key = chance.choice([published.key, None]) if pinned else published.key
        meant = {published.by_digest[pinned]} if pinned else {*published.archives.values()}
        what = f"registry {number}: {[hand.__name__ for hand in hands]}"
        directory = tmp_path / str(number)
        try:
            served = installed(pinned or chance.choice(published.by_tag), directory, key)
        except (ArtifactError, VerificationError, VersionError):
            refused += 1
            assert list(directory.rglob("tiny-*.mar")) == [], what
        else:
            assert next(iter(served.values())) in meant, what
            assert served.items() <= published.archives.items(), what
    registry.blobs, registry.manifests = whole
    assert refused > _REGISTRIES / 5
