"""`torchbridge probe` as a user runs it, on archives whose model answers as recorded and on others."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.probes import PROBES_ENTRY
from tests.adapter.archives.repacking import Contents, repack
from tests.end_to_end.versions.tiny_archives import TinyArchives
from tests.processes import processes_of
from tests.progress import without_progress

pytestmark = pytest.mark.torchserve


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Not pytest's: in it a worker's socket would have too long a path after some hundred runs on a machine."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyArchives(tmp_path_factory.mktemp("packed")).make("1.0")


@pytest.fixture
def archive(packed: Path, tmp_path: Path) -> Path:
    archive = Path(shutil.copy(packed, tmp_path))
    create_key_pair(tmp_path / "release")
    sign(archive)
    return archive


def sign(archive: Path) -> None:
    sign_file(archive, load_private_key(archive.with_name("release.key")))


def run_probe(archive: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("TMPDIR", str(temporary))
    command = [str(Path(sys.executable).with_name("torchbridge")), "probe", str(archive)]
    command += ["--key", str(archive.with_name("release.pub"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=temporary)
    assert processes_of(temporary) == []
    return result


def doctor(archive: Path, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """By a hand that makes the archive's record true again, and signs it."""

    def edit(contents: Contents) -> None:
        content = json.loads(contents[PROBES_ENTRY])
        change(content["probes"][number])
        contents[PROBES_ENTRY] = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    repack(archive, edit)
    sign(archive)


def test_a_model_that_answers_as_recorded_passes_and_leaves_nothing_behind(
    archive: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_probe(archive, temporary, monkeypatch)

    probes = without_progress(result.stderr).splitlines()
    assert len(probes) == 4
    assert "'Once upon a time': 2 tokens, ', there'" in probes
    assert (result.returncode, result.stdout) == (0, "tiny 1.0 answers as it did when it was packed: 4 prompts\n")
    assert list(temporary.iterdir()) == []


def test_another_answer_than_the_recorded_one_is_refused_in_one_line(
    archive: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor(archive, 2, lambda probe: probe.update(answer=probe["answer"].replace("sorry", "happy")))
    result = run_probe(archive, temporary, monkeypatch)

    assert result.returncode == 1
    first, *_, refusal = without_progress(result.stderr).splitlines()
    assert first.startswith("'Once upon a time': ")
    assert re.fullmatch(
        r"torchbridge: 'def add\(a, b\):.*' is not answered .* expected .*happy.*, got .*sorry.*", refusal
    )
    assert result.stdout == ""
    assert list(temporary.iterdir()) == []


def test_other_log_probabilities_than_the_recorded_ones_keep_the_worker_from_loading(
    archive: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor(archive, 0, lambda probe: probe.update(log_probabilities=[0] * len(probe["log_probabilities"])))
    result = run_probe(archive, temporary, monkeypatch)

    assert result.returncode == 1
    assert re.fullmatch(
        r"torchbridge: The worker cannot load the model: the log-probabilities of .*\n", without_progress(result.stderr)
    )
    assert [path.name for path in temporary.glob("*/*/model_log.log")] == ["model_log.log"]
