"""A name for all that a compiled step depends on: that of every archive of one shape, whatever its weights."""

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from handlers.cpp_compiler import compiler
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings
from handlers.step_graph import StepKind, tensors_of

# Keys of a configuration that name things, are about training, or are for generate(). No forward pass reads them.
_NOT_OF_THE_GRAPH = frozenset(
    {
        "_name_or_path",
        "architectures",
        "bos_token_id",
        "chunk_size_feed_forward",
        "dtype",
        "eos_token_id",
        "id2label",
        "initializer_range",
        "label2id",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
# Our code that a graph is made of, and what calls it.
_CODE = (
    "attention_masks.py",
    "compiled_forward_pass.py",
    "compiled_steps.py",
    "computing_type.py",
    "step_graph.py",
    "fixed_positions.py",
    "int8_linear.py",
    "linear_layers.py",
    "packed_attention.py",
    "packed_inputs.py",
    "packed_linear.py",
    "packed_product.py",
    "slot_cache.py",
)
# Threads are counted when a step runs.
_NOT_OF_THE_PROCESSOR = frozenset({"num_logical_cores", "num_physical_cores", "num_sockets"})


def graph_digest(loaded: LoadedModel, settings: HandlerSettings) -> str:
    """Hexadecimal. loaded: on the CPU, its linear layers packed as they are served."""
    facts = {
        "model": type(loaded.model).__name__,
        "configuration": _of_the_graph(loaded.model.config),
        "tensors": _tensors(loaded.model),
        "rows": settings.slots + settings.prefix_slots,
        "context_length": loaded.context_length,
        "quantization": settings.quantization,
        "code": _digest_of_code(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "processor": _processor(),
        "compiler": [compiler(), os.environ.get("CXXFLAGS")],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _of_the_graph(config: PreTrainedConfig) -> Any:
    """The configuration and those in it (a text model's, of one that sees), without the keys that name things."""
    return _without_names(config.to_dict())


def _without_names(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {str(key): _without_names(each) for key, each in value.items() if key not in _NOT_OF_THE_GRAPH}


def _tensors(model: PreTrainedModel) -> list[tuple[str, list[int], str, str]]:
    """The shapes of tensors with their names, which tell what is tied, and which layers have a bias."""
    tensors = {name: tensor for kind in StepKind for name, tensor in tensors_of(model, kind).items()}
    return [(name, list(each.shape), str(each.dtype), str(each.layout)) for name, each in tensors.items()]


@cache
def _digest_of_code() -> str:
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update(hashlib.sha256(Path(__file__).with_name(name).read_bytes()).digest())
    return digest.hexdigest()


def _processor() -> dict[str, Any]:
    """The processor's units and model. ATEN_CPU_CAPABILITY leaves some out; g++ goes by the model (-march=native)."""
    capabilities = dict(torch.cpu.get_capabilities())
    own = {name: value for name, value in capabilities.items() if name not in _NOT_OF_THE_PROCESSOR}
    return own | {"used": torch.backends.cpu.get_cpu_capability(), "model": _model_name(Path("/proc/cpuinfo"))}


def _model_name(cpuinfo: Path) -> str | None:
    """None where the system does not say it, as on ARM."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
