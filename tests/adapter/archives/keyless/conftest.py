from pathlib import Path

import pytest

from tests.sigstore_instance import SigstoreInstance, write_identities


@pytest.fixture(scope="module")
def instance() -> SigstoreInstance:
    return SigstoreInstance()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "signed"
    path.write_bytes(b"weights" * 1_000)
    return path


@pytest.fixture
def identities(instance: SigstoreInstance, tmp_path: Path) -> Path:
    return write_identities(tmp_path, instance)
