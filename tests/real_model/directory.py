"""The real chat model (`make real-model`), for the tests that a model of our own making cannot answer."""

import json
import os
import shutil
from pathlib import Path

import pytest

REAL_MODEL = Path(os.environ.get("TORCHBRIDGE_TEST_REAL_MODEL", "absent"))

needs_real_model = pytest.mark.skipif(
    not (REAL_MODEL / "config.json").exists(),
    reason="make real-model makes it, and TORCHBRIDGE_TEST_REAL_MODEL names it",
)


def changed_copy(directory: Path, **changes: dict[str, object]) -> Path:
    """With other values in its JSON files, by their names without ".json"."""
    directory.mkdir()
    for path in REAL_MODEL.iterdir():
        # A link in the file system would lead out of the directory, which pack refuses.
        copy = os.link if path.suffix == ".safetensors" and is_on_one_device(path, directory) else shutil.copyfile
        copy(path, directory / path.name)
    for name, values in changes.items():
        path = directory / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return directory


def is_on_one_device(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev
