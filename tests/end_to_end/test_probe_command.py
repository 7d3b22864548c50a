"""`torchbridge probe` as a user runs it, on archives whose model answers as recorded and on others.

The others have the light worker: what it says of a model that does not compute as recorded is test_probe_check.py's.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.probes import PROBES_ENTRY, Probes
from tests.adapter.archives.repacking import repack
from tests.adapter.archives.throwaway_archive import REFUSES
from tests.end_to_end.versions.light_archives import LightArchives, probes
from tests.end_to_end.versions.tiny_archives import TinyArchives
from tests.processes import processes_of
from tests.progress import without_progress

pytestmark = pytest.mark.torchserve


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Not pytest's: in it a worker's socket would have too long a path after some hundred runs on a machine."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def run_probe(
    archive: Path, key: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("TMPDIR", str(temporary))
    command = [str(Path(sys.executable).with_name("torchbridge")), "probe", str(archive), "--key", str(key)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=temporary)
    assert processes_of(temporary) == []
    return result


def test_a_model_that_answers_as_recorded_passes_and_leaves_nothing_behind(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = TinyArchives(tmp_path).make("1.0")
    create_key_pair(tmp_path / "release")
    sign_file(archive, load_private_key(tmp_path / "release.key"))

    result = run_probe(archive, tmp_path / "release.pub", temporary, monkeypatch)

    told = without_progress(result.stderr).splitlines()
    assert len(told) == 4
    assert "'Once upon a time': 2 tokens, ', there'" in told
    assert (result.returncode, result.stdout) == (0, "tiny 1.0 answers as it did when it was packed: 4 prompts\n")
    assert list(temporary.iterdir()) == []


def test_another_answer_than_the_recorded_one_is_refused_in_one_line(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = LightArchives(tmp_path)
    archive = archives.make("1.0")
    right, wrong = (Probes.from_bytes(probes(answer)).probes[0] for answer in ("xxxx", "xxyx"))
    both = Probes(probes=(right, wrong.model_copy(update={"prompt": "It was"})))
    repack(archive, lambda contents: contents.update({PROBES_ENTRY: both.to_bytes()}))
    sign_file(archive, load_private_key(tmp_path / "release.key"))

    result = run_probe(archive, archives.public_key, temporary, monkeypatch)

    assert result.returncode == 1
    first, refusal = without_progress(result.stderr).splitlines()
    assert first == "'Once upon': 4 tokens, 'xxxx'"
    assert refusal.startswith("torchbridge: 'It was' is not answered as it was when it was packed: ")
    assert refusal.endswith("text: expected 'xxyx', got 'xxxx'")
    assert result.stdout == ""
    assert list(temporary.iterdir()) == []


def test_a_worker_that_refuses_to_load_is_told_of_in_one_line_and_leaves_its_log(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = LightArchives(tmp_path)

    result = run_probe(archives.make("1.0", handler=REFUSES), archives.public_key, temporary, monkeypatch)

    assert result.returncode == 1
    reason = "The worker cannot load the model: its weights are of a kind unknown here"
    assert without_progress(result.stderr) == f"torchbridge: {reason}\n"
    assert [path.name for path in temporary.glob("*/*/model_log.log")] == ["model_log.log"]
