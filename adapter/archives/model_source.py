"""Where a model comes from, a directory or an id of the Hugging Face hub, and which of its files are served."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from adapter.archives.own_code import OwnCodeError, refuse_own_code
from adapter.archives.safetensors_header import SafetensorsHeaderError, read_safetensors_header

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "*.model",
)
# Nothing that can run code: no pickles, no *.py.
SERVED_FILES = (
    "config.json",
    "generation_config.json",
    _SINGLE,
    "model-*.safetensors",
    _INDEX,
    *TOKENIZER_FILES,
)
# Files that transformers makes a tokenizer of without another library. The check compares it with tokenizer.json.
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")
_ADAPTER = "adapter_config.json"  # of PEFT; looked for, and never served
_WEIGHTS = ("*.safetensors", _INDEX)
_POINTER = b"version https://git-lfs"  # where the file itself should be, in a clone without Git LFS
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")


class ModelSourceError(ValueError):
    """The model cannot be served, and the message says why."""


def fetch_model(source: str) -> Path:
    """The directory that `source` names, downloaded first (with progress bars) where it is a hub id."""
    if Path(source).is_dir():
        return Path(source)
    if Path(source).exists() or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise ModelSourceError(f"{source} is not a directory.")
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - half a second, which only a download has to wait for

    try:
        return Path(snapshot_download(source, allow_patterns=[*SERVED_FILES, _ADAPTER]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelSourceError(f"{source} is neither a directory nor a model that the hub gives: {reason}") from error


def package_url(source: str, directory: Path) -> str | None:
    """The hub's model and commit from which `fetch_model` made `directory`; None for a local directory or file.

    A local name proves nothing, so the same files from another place make the same archive.
    """
    return None if Path(source).exists() else f"pkg:huggingface/{source}@{directory.name}"


def served_files(directory: Path) -> list[Path]:
    """The files of the model in `directory` that belong into an archive, in order.

    Raises ModelSourceError where something is missing, or where the model would need to run code of its own.
    """
    if not directory.is_dir():
        raise ModelSourceError(f"{directory} is not a directory.")
    files = sorted(path for path in directory.iterdir() if path.is_file() or path.is_symlink())
    for path in files:
        if matches(path, (*SERVED_FILES, *_WEIGHTS, _ADAPTER)):
            _refuse_broken_link(path)
            _refuse_link_out(path)
    _refuse_adapter(directory, files)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        _refuse_own_code(directory / name, required=name == "config.json")
    weights = _weights(directory, files)
    served = [path for path in files if not matches(path, _WEIGHTS) and matches(path, SERVED_FILES)]
    if not any(matches(path, _TOKENIZERS) for path in served):
        raise ModelSourceError(
            f"{directory} has no tokenizer.json. transformers writes it, with the tokenizer's library installed"
            ' (sentencepiece or tiktoken): AutoTokenizer.from_pretrained("DIRECTORY").save_pretrained("DIRECTORY").'
        )
    for path in (*served, *weights):
        (_check_safetensors if path.suffix == ".safetensors" else _check_text)(path)
        if not re.fullmatch(r"\w[\w.-]*", path.name, re.ASCII):
            raise ModelSourceError(f"{path} has a name that not every system reads alike.")
    return sorted([*served, *weights])


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in patterns)


def _refuse_broken_link(path: Path) -> None:
    """Its file is missing then, and a message that says only so would not say why."""
    if path.is_symlink() and not path.exists():
        raise ModelSourceError(f"{path} is a link to {path.readlink()}, which is not there: download the model again.")


def _refuse_link_out(path: Path) -> None:
    """Refuses a link that leads out of the model's directory, and not into the hub's cache of which that is a snapshot.

    Otherwise who can change a model, as by a pull request, could have files of the packing machine published.
    The cache is models--ORG--NAME/snapshots/COMMIT/FILE -> ../../blobs/HASH (huggingface_hub/file_download.py).
    """
    directory = path.parent.resolve()
    allowed = [directory]
    if directory.parent.name == "snapshots":
        allowed.append(directory.parent.parent / "blobs")
    target = path.resolve()
    if target.parent not in allowed:
        raise ModelSourceError(
            f"{path} is a link to {target}, outside of the model's directory: put the file itself there."
        )


def _weights(directory: Path, files: list[Path]) -> list[Path]:
    """The files of weights: a single one, or shards and their index."""
    single, index = directory / _SINGLE, directory / _INDEX
    shards = _shards(index) if index in files else []
    if single in files:
        # save_pretrained() leaves an earlier model's single file when it writes shards, and transformers prefers it.
        if any(path in files and path != single for path in shards):
            raise ModelSourceError(
                f"{directory} holds two models, {_SINGLE} and the shards that {_INDEX} names: remove one of them."
            )
        return [single]
    if missing := [path.name for path in shards if path not in files]:
        raise ModelSourceError(f"{directory} lacks {', '.join(missing)}, which {index.name} names.")
    if shards:
        return [*shards, index]
    pickles = [path.name for path in files if matches(path, _PICKLES)]
    reason = f"{', '.join(pickles)} could run code when loaded" if pickles else "there is no model.safetensors"
    raise ModelSourceError(f"{directory} has no safetensors weights: {reason}. save_pretrained() writes them.")


def _shards(index: Path) -> list[Path]:
    names = _read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelSourceError(f"{index} has no weight_map.")
    if others := [name for name, shard in names.items() if not isinstance(shard, str)]:
        raise ModelSourceError(f"{index} names no file for {others[0]}.")
    return [index.parent / name for name in sorted(set(names.values()))]


def _refuse_adapter(directory: Path, files: list[Path]) -> None:
    if directory / _ADAPTER in files and not {directory / _SINGLE, directory / _INDEX} & {*files}:
        raise ModelSourceError(
            f"{directory} is an adapter ({_ADAPTER}), which changes another model and is none by itself. Merge them and"
            ' pack MERGED: python -c "from peft import AutoPeftModelForCausalLM as Model; from transformers import'
            f" AutoTokenizer; Model.from_pretrained({str(directory)!r}).merge_and_unload().save_pretrained('MERGED');"
            f" AutoTokenizer.from_pretrained({str(directory)!r}).save_pretrained('MERGED')\""
        )


def _refuse_own_code(path: Path, *, required: bool) -> None:
    if not path.is_file():
        if required:
            raise ModelSourceError(f"{path.parent} is not a model in Hugging Face format: it has no {path.name}.")
        return
    _read_json(path)
    try:
        refuse_own_code(path.read_bytes())
    except OwnCodeError as error:
        raise ModelSourceError(f"{path} cannot be served: {error}, which is never run.") from error


def _check_safetensors(path: Path) -> None:
    try:
        with path.open("rb") as file:
            read_safetensors_header(file, path.stat().st_size)
    except (SafetensorsHeaderError, OSError) as error:
        raise ModelSourceError(f"{path} is not a safetensors file ({error}).{_pointer_hint(path)}") from error


def _check_text(path: Path) -> None:
    if path.suffix != ".model":
        _content(path)


def _content(path: Path) -> Any:
    """Its text, or what it says in JSON. Names the file that transformers could not read: its own error does not."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else text
    except (OSError, ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "text in UTF-8"
        raise ModelSourceError(f"{path} is not {kind}: {error}.{_pointer_hint(path)}") from error


def _pointer_hint(path: Path) -> str:
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
    except OSError:
        return ""
    return " It is a Git LFS pointer: run git lfs pull." if is_pointer else ""


def _read_json(path: Path) -> dict[str, Any]:
    content = _content(path)
    if not isinstance(content, dict):
        raise ModelSourceError(f"{path} is not a JSON object.")
    return content
