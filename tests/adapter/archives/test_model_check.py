"""The check runs the handler's real code in its real process."""

import json
import shutil
from pathlib import Path

import pytest

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, PROJECT, build_archive
from adapter.archives.model_check import check_model
from adapter.archives.model_source import ModelSourceError

TINY = PROJECT / "models" / "tiny"


def test_model_that_can_be_served_passes() -> None:
    check_model(TINY, DEFAULT_MODEL_CONFIG)


def test_model_that_cannot_be_served_is_not_packed(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))

    with pytest.raises(ModelSourceError, match=r"cannot be served: .*unheard-of"):
        build_archive(model, "a", "1.0", tmp_path / "store", check=check_model)

    assert not (tmp_path / "store").exists()
