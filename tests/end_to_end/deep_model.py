"""models/tiny with its layers many times over, and without an end: its steps take as long as those of larger models."""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from adapter.archives.archive import build_archive
from tests.end_to_end.endless_model import model_config, write_endless_model
from tests.end_to_end.versions.tiny_archives import TINY
from tests.handler_here import check_model_here

_TIMES = 8
_LAYER = "model.layers."


def deep_archive(directory: Path) -> Path:
    """Deep 1.0, with probes."""
    model, config = directory / "deep", directory / "model-config.yaml"
    directory.mkdir()
    _write_deep_model(model)
    config.write_text(model_config(num_queued=32, context_length=1024))
    return build_archive(model, "deep", "1.0", directory, config, check=check_model_here)


def _write_deep_model(directory: Path) -> None:
    write_endless_model(TINY, directory)
    config, weights = directory / "config.json", directory / "model.safetensors"
    values = json.loads(config.read_text())
    num_layers = values["num_hidden_layers"]
    config.write_text(json.dumps(values | {"num_hidden_layers": _TIMES * num_layers}))
    tensors = load_file(weights)
    for name in [name for name in tensors if name.startswith(_LAYER)]:
        number, _, rest = name.removeprefix(_LAYER).partition(".")
        for time in range(1, _TIMES):
            tensors[f"{_LAYER}{int(number) + time * num_layers}.{rest}"] = tensors[name].clone()
    save_file(tensors, weights, metadata={"format": "pt"})
