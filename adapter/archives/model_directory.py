"""The directory of a model, from whatever names it: a directory, an id of the Hugging Face hub or a GGUF file."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.archives.handler_process import HandlerProcessError, run_handler
from adapter.archives.model_source import ModelSourceError, fetch_model

_GGUF = ".gguf"
_MAGIC = b"GGUF"
_ONE_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.gguf\Z", re.IGNORECASE)  # as gguf-split names them


@contextmanager
def model_directory(source: str) -> Iterator[Path]:
    """The model's files, as long as the block lasts. Raises ModelSourceError."""
    if not source.lower().endswith(_GGUF) or Path(source).is_dir():
        yield fetch_model(source)
        return
    with tempfile.TemporaryDirectory() as directory:
        _convert(Path(source), Path(directory))
        yield Path(directory)


def model_name(source: str) -> str:
    """The name for a model to which nobody has given one."""
    path = Path(source).resolve()
    return path.stem if path.suffix.lower() == _GGUF else path.name


def _convert(file: Path, directory: Path) -> None:
    if _ONE_OF_SEVERAL.search(file.name):
        raise ModelSourceError(f"{file} is one of several files: join them with llama.cpp's gguf-split --merge.")
    try:
        with file.open("rb") as content:
            is_gguf = content.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise ModelSourceError(f"{file} cannot be read: {error.strerror}.") from error
    if not is_gguf:
        raise ModelSourceError(f"{file} is not a GGUF file.")
    try:
        run_handler("handlers.convert_gguf", str(file.resolve()), str(directory))
    except HandlerProcessError as error:
        raise ModelSourceError(f"{file} cannot be turned into a model: {error}") from error
