"""The check runs the handler's real code in its real process."""

import json
import shutil
from pathlib import Path

import pytest

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, PROJECT, build_archive
from adapter.archives.model_check import check_model
from adapter.archives.model_source import ModelSourceError

TINY = PROJECT / "models" / "tiny"

# The kernels of a processor without AVX add up in another order.
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


def test_model_that_can_be_served_is_recorded_alike_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = set()
    for environment in ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"}, OLD_PROCESSOR):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            recorded.add(check_model(TINY, DEFAULT_MODEL_CONFIG).to_bytes())

    assert len(recorded) == 1


def test_model_that_cannot_be_served_is_not_packed(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))

    with pytest.raises(ModelSourceError, match=r"cannot be served: .*unheard-of"):
        build_archive(model, "a", "1.0", tmp_path / "store", check=check_model)

    assert not (tmp_path / "store").exists()
