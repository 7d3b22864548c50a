import json
from pathlib import Path

import pytest

from adapter.archives.model_facts import read_model_facts, weight_bytes
from adapter.archives.model_source import served_files
from adapter.archives.record import ModelFacts
from adapter.archives.zip_writer import record_of
from tests.adapter.archives.model_files import write_weights


def facts(model: Path) -> ModelFacts:
    return read_model_facts({path: record_of(path) for path in served_files(model)}, None)


def test_parameters_are_those_of_all_shards(model: Path) -> None:
    (model / "model.safetensors").unlink()
    weight_map = {}
    for shard, num_bytes, dtype in (("model-1.safetensors", 24, "F32"), ("model-2.safetensors", 8, "BF16")):
        write_weights(model / shard, num_bytes, dtype)
        weight_map[dtype] = shard
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    assert facts(model).parameters == {"F32": 6, "BF16": 4}


def test_the_tokenizers_digest_is_that_of_the_tokenizer_alone(model: Path) -> None:
    digest = facts(model).tokenizer_sha256
    write_weights(model / "model.safetensors", 48)
    (model / "config.json").write_text("{}")
    assert facts(model).tokenizer_sha256 == digest

    (model / "vocab.json").write_text("{}")
    assert facts(model).tokenizer_sha256 != digest


@pytest.mark.parametrize("config", ["{}", '{"architectures": []}', '{"architectures": ["a b"]}'])
def test_an_architecture_may_be_unknown(model: Path, config: str) -> None:
    assert facts(model).architecture == "LlamaForCausalLM"
    (model / "config.json").write_text(config)
    assert facts(model).architecture is None


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({"F32": 6}, (24, 24)), ({"F32": 6, "F16": 2, "BF16": 1}, (30, 36)), ({"F4": 3, "I64": 1}, (10, 10))],
)
def test_only_floats_of_16_bits_take_more_in_float32(parameters: dict[str, int], expected: tuple[int, int]) -> None:
    model = ModelFacts(architecture=None, parameters=parameters, tokenizer_sha256="a" * 64, source=None)
    assert weight_bytes(model) == expected
