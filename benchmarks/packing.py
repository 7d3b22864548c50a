"""Packs weights of 100 MB and of 1 GB as we do and as torch-model-archiver does, and verifies what we packed.

`make bench-packing`. Each is a process of its own, with the same files, on the same disk.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from adapter.archives.archive import DEFAULT_MODEL_CONFIG
from benchmarks.plots import Bars
from benchmarks.project import PROJECT
from benchmarks.report import Goal, Table, at_least, goal_table, write_report
from benchmarks.rounds import ROUNDS, interleave_many

BLOCK_PARAMETERS = 2**22
# Blocks of float32 and rounds; at 1 GB torch-model-archiver alone takes most of a minute.
SIZES = {"100 MB": (6, ROUNDS), "1 GB": (60, 3)}
LARGEST = 120  # 2.01 GB: packed by us only, for its memory
WANTED_RATIO, WANTED_PEAK = 8, 300  # times torch-model-archiver, MB

OURS, THEIRS, VERIFY = "torchbridge pack", "torch-model-archiver", "torchbridge verify"
HEADER = ["", "Seconds", "Times as fast as torch-model-archiver", "Archive", "Peak memory"]

# VmHWM and not ru_maxrss: that begins with the memory of the process which forked.
PACK = """
import re, sys
from pathlib import Path
from adapter.archives.archive import build_archive
build_archive(Path(sys.argv[1]), "large", "1.0", Path(sys.argv[2]))
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1.024 / 1000)
"""
CHECK = "import pathlib, sys, adapter.archives.verification as of; of.verify_archive(pathlib.Path(sys.argv[1]))"

METHOD = f"""\
Float32 weights with the spread of a trained layer, in one file, packed by what `torchbridge pack` calls and by
torch-model-archiver in its default format, with the same handler and configuration. Each run is a process of its own,
and its seconds include the start of Python. Ours hashes all files twice besides and returns when the archive is on the
disk, which torch-model-archiver does not wait for; the check that a worker can serve the model, which it does not have,
is left out. What `torchbridge verify` reads is not signed, and is in the machine's cache. {ROUNDS} rounds at 100 MB,
but {SIZES["1 GB"][1]} at 1 GB: torch-model-archiver takes most of a minute there. Memory is our process's VmHWM."""


def write_model(directory: Path, blocks: int) -> None:
    """Random weights with the spread of a trained layer: what a compressor finds in real ones."""
    directory.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_text("{}")
    parameters = blocks * BLOCK_PARAMETERS
    tensor = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters]}
    header = json.dumps({"weight": tensor}).encode()
    random = np.random.default_rng(0)
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(blocks):
            block = random.standard_normal(BLOCK_PARAMETERS, dtype=np.float32) * np.float32(0.02)
            file.write(block.tobytes())


class Packer:
    """Both packers and our verify, on one model in a directory that it makes."""

    def __init__(self, directory: Path, blocks: int) -> None:
        self._model, self._ours, self._theirs = (directory / part for part in ("model", "ours", "theirs"))
        temporary = directory / "temporary"
        for made in (directory, self._theirs, temporary):
            made.mkdir()
        write_model(self._model, blocks)
        self._environment = {**os.environ, "TMPDIR": str(temporary)}  # where theirs deletes NAME of --model-name

    def pack(self) -> dict[str, float]:
        shutil.rmtree(self._ours, ignore_errors=True)
        seconds, output = self._run([sys.executable, "-c", PACK, str(self._model), str(self._ours)])
        return {"seconds": seconds, "MB": _size(self._ours), "peak": float(output)}

    def pack_theirs(self) -> dict[str, float]:
        for archive in self._theirs.iterdir():
            archive.unlink()
        command = [
            *(str(Path(sys.executable).with_name(THEIRS)), "--model-name", "large", "--version", "1.0"),
            *("--handler", str(PROJECT / "handlers" / "text_generation.py"), "--extra-files", str(self._model)),
            *("--config-file", str(DEFAULT_MODEL_CONFIG), "--export-path", str(self._theirs)),
        ]
        return {"seconds": self._run(command)[0], "MB": _size(self._theirs)}

    def verify(self) -> dict[str, float]:
        archive = next(self._ours.iterdir())
        return {"seconds": self._run([sys.executable, "-c", CHECK, str(archive)])[0]}

    def _run(self, command: list[str]) -> tuple[float, str]:
        os.sync()  # neither pays for what was written before
        begin = time.perf_counter()
        ran = subprocess.run(command, cwd=PROJECT, env=self._environment, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own
        return time.perf_counter() - begin, ran.stdout.decode()


def _size(store: Path) -> float:
    return sum(archive.stat().st_size for archive in store.iterdir()) / 1e6


def main() -> None:
    rows, bars, ratios = [], {}, {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "packing"
        for size, (blocks, rounds) in SIZES.items():
            packer = Packer(directory, blocks)
            measures = {OURS: packer.pack, THEIRS: packer.pack_theirs, VERIFY: packer.verify}
            figures = interleave_many(measures, rounds)
            shutil.rmtree(directory)
            ratios[size] = figures[THEIRS]["seconds"].over(figures[OURS]["seconds"])
            for measure, quantities in figures.items():
                bar = f"{measure}, {size}"
                seconds = bars[bar] = quantities["seconds"]
                sizes = [f"{quantities[key].median:,.0f} MB" if key in quantities else "" for key in ("MB", "peak")]
                rows.append([bar, f"{seconds:.2f}", f"{ratios[size]:.1f}" if measure == OURS else "", *sizes])
        largest = Packer(directory, LARGEST).pack()
    rows.append(
        [
            f"{OURS}, 2 GB, one run",
            f"{largest['seconds']:.2f}",
            "",
            f"{largest['MB']:,.0f} MB",
            f"{largest['peak']:.0f} MB",
        ]
    )
    fast, peak = ratios["1 GB"], largest["peak"]
    goals = [
        at_least("Packing 1 GB, times as fast as torch-model-archiver", WANTED_RATIO, fast, shown=".1f"),
        Goal("Packing 2 GB, memory", f"at most {WANTED_PEAK} MB", f"{peak:.0f} MB", peak <= WANTED_PEAK),
    ]
    write_report(
        "packing",
        title="Packing",
        method=METHOD,
        tables=[Table(HEADER, rows), goal_table(goals)],
        plots=[Bars("To pack and to verify an archive", "seconds", bars)],
        versions=[f"torch-model-archiver {version('torch-model-archiver')}"],
    )


if __name__ == "__main__":
    main()
