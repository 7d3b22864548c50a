"""Packs one gigabyte of weights as we do and as torch-model-archiver does, and fails if we are not 8 times as fast.

`python -m benchmarks.pack_archive`. Each is a process of its own, with the same files, on the same disk. Ours hashes
them twice besides and waits until the archive is on the disk; the check that a worker could serve the model, which
torch-model-archiver does not have, is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, PROJECT

TARGET = 8
BLOCK_PARAMETERS = 2**22
BLOCKS = 60  # 1.007 GB of float32

OURS = """
import sys
from pathlib import Path
from adapter.archives.archive import build_archive
build_archive(Path(sys.argv[1]), "large", "1.0", Path(sys.argv[2]))
"""


def write_model(directory: Path) -> None:
    """Random weights with the spread of a trained layer: what a compressor finds in real ones."""
    directory.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_text("{}")
    parameters = BLOCKS * BLOCK_PARAMETERS
    tensor = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters]}
    header = json.dumps({"weight": tensor}).encode()
    random = np.random.default_rng(0)
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(BLOCKS):
            block = random.standard_normal(BLOCK_PARAMETERS, dtype=np.float32) * np.float32(0.02)
            file.write(block.tobytes())


def seconds(command: list[str], environment: Mapping[str, str]) -> float:
    os.sync()  # neither pays for what was written before
    begin = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)  # noqa: S603 - our own
    return time.perf_counter() - begin


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        model, ours, theirs, temporary = (directory / part for part in ("model", "ours", "theirs", "tmp"))
        write_model(model)
        theirs.mkdir()
        temporary.mkdir()
        archiver = [
            *(str(Path(sys.executable).with_name("torch-model-archiver")), "--model-name", "large", "--version", "1.0"),
            *("--handler", str(PROJECT / "handlers" / "text_generation.py"), "--extra-files", str(model)),
            *("--config-file", str(DEFAULT_MODEL_CONFIG), "--export-path", str(theirs)),
        ]
        environment = {**os.environ, "TMPDIR": str(temporary)}  # where it deletes a directory of the model's name
        their_seconds = seconds(archiver, environment)
        our_seconds = seconds([sys.executable, "-c", OURS, str(model), str(ours)], environment)
        sizes = [next(store.iterdir()).stat().st_size / 1e6 for store in (theirs, ours)]
    ratio = their_seconds / our_seconds
    console = Console(highlight=False)
    console.print(f"torch-model-archiver  {their_seconds:6.1f} s  {sizes[0]:6.0f} MB")
    console.print(f"torchbridge           {our_seconds:6.1f} s  {sizes[1]:6.0f} MB")
    console.print(f"{ratio:.1f} times as fast; the target is {TARGET}")
    sys.exit(ratio < TARGET)


if __name__ == "__main__":
    main()
