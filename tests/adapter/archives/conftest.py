from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from tests.adapter.archives.model_files import write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.fixture
def archive(model: Path, tmp_path: Path) -> Path:
    return build_archive(model, "tiny", "1.0", tmp_path)
