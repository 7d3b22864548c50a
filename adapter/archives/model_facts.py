"""The facts that a model's files state about it, read without torch."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from adapter.archives.model_source import TOKENIZER_FILES, matches
from adapter.archives.record import FileRecord, ModelFacts, canonical_json
from adapter.archives.safetensors_header import BITS, read_safetensors_header


def read_model_facts(files: Mapping[Path, FileRecord], source: str | None) -> ModelFacts:
    """The facts of the model with these files (and their records), which comes from the package URL `source`."""
    parameters: Counter[str] = Counter()
    for path, record in files.items():
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                parameters.update(read_safetensors_header(file, record.size).parameters)
    tokenizer = {path.name: record.sha256 for path, record in files.items() if matches(path, TOKENIZER_FILES)}
    return ModelFacts(
        architecture=_architecture(next(path for path in files if path.name == "config.json")),
        parameters=dict(parameters),
        tokenizer_sha256=hashlib.sha256(canonical_json(tokenizer)).hexdigest(),
        source=source,
    )


def weight_bytes(model: ModelFacts) -> tuple[int, int]:
    """Bytes of its weights in memory: as they are stored, and with floats of 16 bits computed in float32."""
    stored = sum(-(-count * BITS.get(dtype, 0) // 8) for dtype, count in model.parameters.items())
    widened = sum(model.parameters.get(dtype, 0) for dtype in ("BF16", "F16"))
    return stored, stored + widened * 2


def _architecture(config: Path) -> str | None:
    match json.loads(config.read_bytes()):
        case {"architectures": [str(name), *_]} if name.isidentifier() and name.isascii():
            return name
        case _:
            return None
