"""`make test-fast` is for the time while one writes: it starts no process of a server."""

import re
import subprocess
from pathlib import Path

from tests.project import PROJECT

STARTS_REDIS = re.compile(r": Redis(Server)?\b")


def test_none_of_them_starts_a_redis() -> None:
    made = subprocess.run(["make", "-n", "test-fast"], cwd=PROJECT, capture_output=True, text=True, check=True)
    ignored = set(re.findall(r"--ignore (\S+)", made.stdout))
    named = [path for path in re.findall(r" (tests/\S+)", made.stdout) if path not in ignored]
    files = [file for path in named for file in files_of(PROJECT / path)]
    with_redis = {str(file.relative_to(PROJECT)) for file in files if STARTS_REDIS.search(file.read_text())}
    assert with_redis
    assert with_redis <= ignored


def files_of(path: Path) -> list[Path]:
    return sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
