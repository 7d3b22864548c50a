"""Who packs, where and when leaves no trace in an archive."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adapter.archives.model_files import write_model
from tests.project import PROJECT

TIME_ZONES = ("UTC", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu")
LOCALES = ("C", "C.UTF-8", "tr_TR.UTF-8", "de_DE.ISO-8859-1")
UMASKS = ("022", "077", "000", "027")
HASH_SEEDS = ("0", "1", "random", "4294967295")
CLOCKS = (0, 1_000_000_000, 1_800_000_000, 4_500_000_000)  # before a zip's first date, and after 32 bits
FILE_MODES = (0o644, 0o600, 0o755, 0o400)
# Each setting with two of another digit's, or with all of them.
NUMBERS = range(16) if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else (0, 1, 5, 6, 10, 11, 12, 15)


def users() -> tuple[int, ...]:
    """Whom root can be, where others can read the checkout."""
    is_open = all(directory.stat().st_mode & 0o001 for directory in (PROJECT, *PROJECT.parents))
    return (0, 65534, 1000, 1) if os.getuid() == 0 and is_open else (os.getuid(),) * 4


@dataclass(frozen=True)
class Environment:
    """The number's two digits in base 4 choose: each pair of settings of a digit meets every one of the other."""

    number: int

    def pack(self, model: Path, place: Path) -> Path:
        first, second = divmod(self.number, 4)
        user = users()[(first + second) % 4]
        directory = place / ("x" * (1 + self.number)) / f"{self.number} ü"
        shutil.copytree(model, directory)
        for path in directory.iterdir():
            path.chmod(FILE_MODES[second])
            os.utime(path, (CLOCKS[first], CLOCKS[second]))
        for path in (place, *place.rglob("*")):
            os.chown(path, user, -1)
        variables = {
            "TZ": TIME_ZONES[first],
            "LC_ALL": LOCALES[second],
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONUTF8": "01"[first % 2],
            "PYTHONHASHSEED": HASH_SEEDS[(first + 2 * second) % 4],
            "USER": f"user-{user}",
            "HOME": str(place),
            "PYTHONPATH": str(PROJECT),
        }
        script = Path(__file__).parent / "pack_elsewhere.py"
        arguments = (CLOCKS[second], self.number, UMASKS[first], user, directory, place / "store")
        command = [sys.executable, str(script), *map(str, arguments)]
        result = subprocess.run(command, cwd=place, env=variables, capture_output=True, check=False)
        assert result.stderr == b""
        return Path(os.fsdecode(result.stdout.strip()))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Where other users may go, as they may not in tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_all_environments_make_one_archive(tmp_path: Path, open_directory: Path) -> None:
    model = write_model(tmp_path)
    digests = {}
    for number in NUMBERS:
        place = open_directory / str(number)
        place.mkdir()
        archive = Environment(number).pack(model, place)
        digests[number] = hashlib.sha256(archive.read_bytes()).hexdigest()

    assert len(set(digests.values())) == 1, digests
