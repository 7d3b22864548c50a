"""A bit that flips anywhere in a registry's storage: what is pulled is what was pushed, or nothing is."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.archives.signature_paths import signature_path
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.reference import ArtifactReference
from tests.adapter.artifacts.transfers import pull_from, push_to, resolved
from tests.registry_server import RegistryServer, running_registry

_FLIPS = 300 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 100


@pytest.fixture
def stored(tmp_path: Path, signed: Path) -> Iterator[tuple[RegistryServer, ArtifactReference]]:
    """A registry with this archive and its signature, and nothing else."""
    with running_registry(tmp_path / "registry") as registry:
        yield registry, push_to(registry.reference("tiny:1.0"), signed)


@contextmanager
def flipped(path: Path, position: int, bit: int = 0) -> Iterator[None]:
    content = path.read_bytes()
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(content)


def expect_refusal(reference: object, directory: Path) -> None:
    with pytest.raises(ArtifactError):
        pull_from(reference, directory)
    assert [path for path in directory.glob("*") if not path.name.startswith(".")] == []


@pytest.mark.parametrize("part", ["manifest", "archive"])
def test_one_bit_of_it_and_it_is_not_pulled(
    stored: tuple[RegistryServer, ArtifactReference], tmp_path: Path, part: str
) -> None:
    registry, pushed = stored
    digest = str(pushed.digest) if part == "manifest" else resolved(pushed).layer.digest
    path = registry.blob(digest)
    for position in (0, path.stat().st_size // 2, path.stat().st_size - 1):
        with flipped(path, position):
            expect_refusal(pushed, tmp_path / "pulled")
            expect_refusal(registry.reference("tiny:1.0"), tmp_path / "pulled")
    assert pull_from(pushed, tmp_path / "pulled").exists()


def test_an_archive_that_was_cut_in_the_registry_is_not_pulled(
    stored: tuple[RegistryServer, ArtifactReference], tmp_path: Path
) -> None:
    registry, pushed = stored
    path = registry.blob(resolved(pushed).layer.digest)
    path.write_bytes(path.read_bytes()[:-1])
    expect_refusal(pushed, tmp_path / "pulled")


def test_one_that_has_grown_is_not_pulled(stored: tuple[RegistryServer, ArtifactReference], tmp_path: Path) -> None:
    registry, pushed = stored
    with registry.blob(resolved(pushed).layer.digest).open("ab") as file:
        file.write(b"more")
    expect_refusal(pushed, tmp_path / "pulled")


def test_wherever_a_bit_flips_nothing_else_than_was_pushed_is_pulled(
    stored: tuple[RegistryServer, ArtifactReference], signed: Path, keys: Path, tmp_path: Path
) -> None:
    registry, pushed = stored
    chance = random.Random(24)
    paths = sorted(path for path in registry.storage.rglob("*") if path.is_file())
    refused = 0
    for number in range(_FLIPS):
        path = chance.choice(paths)
        directory = tmp_path / "pulled"
        key = chance.choice([None, keys / "release.pub"])
        reference = chance.choice([str(pushed), registry.reference("tiny:1.0")])
        with flipped(path, chance.randrange(path.stat().st_size), chance.randrange(8)):
            try:
                pulled = pull_from(reference, directory, key)
            except ArtifactError:
                refused += 1
                assert not (directory / "tiny-1.0.mar").exists(), f"flip {number} in {path}"
            else:
                assert pulled.read_bytes() == signed.read_bytes(), f"flip {number} in {path}"
                signature = signature_path(pulled)
                assert signature.exists() or key is None, f"flip {number} in {path}"
                if signature.exists():
                    assert signature.read_bytes() == signature_path(signed).read_bytes(), f"flip {number} in {path}"
        shutil.rmtree(directory, ignore_errors=True)
    assert 0 < refused < _FLIPS
