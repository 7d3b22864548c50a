"""All readers of a verified archive find the same files in it: the ones that were verified."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import ts

from adapter.archives.archive import build_archive
from adapter.archives.strict_zip import read_content, read_entries
from adapter.archives.verification import verify_archive

TORCHSERVE = Path(ts.__file__).parent / "frontend" / "model-server.jar"


@pytest.fixture
def archive(model: Path, tmp_path: Path) -> Path:
    (model / "vocab.txt").touch()
    return build_archive(model, "tiny", "1.0", tmp_path)


def verified(archive: Path) -> dict[str, bytes]:
    verify_archive(archive)
    with archive.open("rb") as file:
        return {entry.name: b"".join(read_content(file, entry)) for entry in read_entries(file)}


def extracted(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if not path.is_dir())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_python(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "python")

    assert extracted(tmp_path / "python") == verified(archive)


@pytest.mark.skipif(not shutil.which("unzip"), reason="there is no unzip")
def test_unzip(archive: Path, tmp_path: Path) -> None:
    subprocess.run(["unzip", "-q", archive, "-d", tmp_path / "unzip"], check=True)

    assert extracted(tmp_path / "unzip") == verified(archive)


# The Java that TorchServe runs on here has no compiler. There the worker compares each file that TorchServe unpacked.
@pytest.mark.skipif(not shutil.which("javac"), reason="there is no Java compiler")
def test_torchserve_and_java(archive: Path, tmp_path: Path) -> None:
    program = Path(__file__).with_name("Extract.java")
    for reader in ("torchserve", "java"):
        (tmp_path / reader).mkdir()
    command = ["java", "-cp", TORCHSERVE, program, archive, tmp_path / "torchserve", tmp_path / "java"]
    subprocess.run(command, check=True, capture_output=True)

    assert extracted(tmp_path / "torchserve") == verified(archive)
    assert extracted(tmp_path / "java") == verified(archive)
