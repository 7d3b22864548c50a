"""A model that has all that packing looks at, and no more."""

import json
from pathlib import Path

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_BYTES = {"F32": 4, "BF16": 2}


def write_model(directory: Path, *, weight_bytes: int = 24) -> Path:
    """Its weights are zeros, which take no place on the disk."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (directory / "tokenizer.json").write_text("{}")
    (directory / "tokenizer_config.json").write_text("{}")
    write_weights(directory / "model.safetensors", weight_bytes)
    return directory


def write_weights(path: Path, weight_bytes: int = 24, dtype: str = "F32") -> None:
    tensor = {"dtype": dtype, "shape": [weight_bytes // _BYTES[dtype]], "data_offsets": [0, weight_bytes]}
    header = json.dumps({"weight": tensor}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + weight_bytes)


def rename_tensor(path: Path, name: str, other: str) -> None:
    """In a safetensors file; both names have one length, so that nothing in it moves."""
    weights = path.read_bytes()
    assert weights.count(name.encode()) == 1
    assert len(name) == len(other)
    path.write_bytes(weights.replace(name.encode(), other.encode()))


def add_tensor(path: Path, name: str) -> None:
    """To a safetensors file: one number, 0.0."""
    weights = path.read_bytes()
    data = 8 + int.from_bytes(weights[:8], "little")
    end = len(weights) - data
    header = json.loads(weights[8:data]) | {name: {"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]}}
    written = json.dumps(header).encode()
    path.write_bytes(len(written).to_bytes(8, "little") + written + weights[data:] + bytes(4))
