"""Packs a model and prints by how many bytes that made this process grow, and to how many.

`python measure_packing.py MODEL OUTPUT`
"""

import resource
import sys
from pathlib import Path

from adapter.archives.archive import build_archive


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def main(model: str, output: str) -> None:
    before = peak()
    build_archive(Path(model), "large", "1.0", Path(output))
    print(peak() - before, peak())  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
