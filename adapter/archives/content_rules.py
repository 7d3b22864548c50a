"""The kinds of file that an archive may hold, and what each may not contain. All else is refused."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from adapter.archives.model_config import ModelConfig
from adapter.archives.model_source import SERVED_FILES, matches
from adapter.archives.own_code import refuse_own_code
from adapter.archives.packed_code import HANDLER
from adapter.archives.record import BOM_ENTRY, MANIFEST_ENTRY, RECORD_ENTRY, ModelFacts
from adapter.archives.safetensors_header import read_safetensors_header
from adapter.archives.strict_zip import StrictZipError, read_content
from adapter.archives.torchserve_manifest import MODEL_CONFIG_ENTRY
from adapter.archives.zip_image import ZipEntry
from adapter.probes import PROBES_ENTRY, Probes
from adapter.strict_yaml import MAX_BYTES as MAX_BYTES_OF_YAML
from adapter.strict_yaml import load_yaml

_NEEDED = (MANIFEST_ENTRY, RECORD_ENTRY, BOM_ENTRY, MODEL_CONFIG_ENTRY, HANDLER, "model/config.json")
_OPTIONAL = (PROBES_ENTRY,)
_CODE = re.compile(r"text_generation\.py|(handlers|adapter|adapter/schema)/\w+\.py", re.ASCII)
_CONFIGURATIONS = ("model/config.json", "model/generation_config.json", "model/tokenizer_config.json")
_INDEX = "model/model.safetensors.index.json"
_MAX_BYTES_OF_MODEL_FILE = 2**26  # the largest tokenizer.json known has half of it
_MAX_BYTES = {
    MANIFEST_ENTRY: 2**16,
    # In memory they take up to a hundred times as much.
    RECORD_ENTRY: 2**21,  # 10,000 files with names of 100 letters
    BOM_ENTRY: 2**22,
    PROBES_ENTRY: 2**22,  # 100 probes of the most tokens
    MODEL_CONFIG_ENTRY: MAX_BYTES_OF_YAML,
}


class ContentError(ValueError):
    """The archive holds what it may not, or lacks what it must have, and the message says which."""


def is_code(name: str) -> bool:
    return _CODE.fullmatch(name) is not None


def check_names(names: Mapping[str, object]) -> None:
    for name in _NEEDED:
        if name not in names:
            raise ContentError(f"{name}: it is missing")
    for name in names:
        if not (name in _NEEDED + _OPTIONAL or is_code(name) or _is_of_model(Path(name))):
            raise ContentError(f"{name}: an archive has no file of this name or kind")


def _is_of_model(path: Path) -> bool:
    return path.parent == Path("model") and (path.suffix == ".safetensors" or matches(path, SERVED_FILES))


def check_contents(file: BinaryIO, entries: Mapping[str, ZipEntry], model: ModelFacts) -> None:
    """Checks the model's files, its probes and its configuration for TorchServe. Raises ContentError."""
    parameters: Counter[str] = Counter()
    for name, entry in entries.items():
        try:
            if name.endswith(".safetensors"):
                file.seek(entry.content_offset)
                parameters.update(read_safetensors_header(file, entry.size).parameters)
            elif name == MODEL_CONFIG_ENTRY:
                ModelConfig.model_validate(load_yaml(read_whole(file, entry)))
            elif name == PROBES_ENTRY:
                Probes.from_bytes(read_whole(file, entry))
            elif name.startswith("model/") and not name.endswith(".model"):
                _check_text(name, read_whole(file, entry))
        except (ContentError, StrictZipError):
            raise  # they name the file
        except ValidationError as error:
            raise ContentError(f"{name}: {error.errors(include_url=False)[0]['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise ContentError(f"{name}: {error}") from error
    _check_weights(file, entries)
    if parameters != model.parameters:
        raise ContentError(f"{RECORD_ENTRY}: its parameters are not those of the weights")


def read_whole(file: BinaryIO, entry: ZipEntry) -> bytes:
    """Raises ContentError where it is larger than a file of its name ever is, StrictZipError where it has changed."""
    limit = _MAX_BYTES.get(entry.name, _MAX_BYTES_OF_MODEL_FILE)
    if entry.size > limit:
        raise ContentError(f"{entry.name}: it is larger than {limit // 2**10:,} KiB")
    return b"".join(read_content(file, entry))


def _check_text(name: str, content: bytes) -> None:
    if name in _CONFIGURATIONS:
        refuse_own_code(content)
    elif name.endswith(".json"):
        json.loads(content)
    else:
        content.decode()


def _check_weights(file: BinaryIO, entries: Mapping[str, ZipEntry]) -> None:
    """The weights are one file, or those that the index names: no other that a loader might come across."""
    weights = {name for name in entries if name.endswith(".safetensors")}
    expected = {"model/model.safetensors"}
    if _INDEX in entries and not weights & expected:
        match json.loads(read_whole(file, entries[_INDEX])):
            case {"weight_map": dict(shards)}:
                expected = {f"model/{shard}" for shard in shards.values()}
    for name in sorted(weights ^ expected):
        raise ContentError(f"{name}: it is {'a stray file of weights' if name in weights else 'missing'}")
