"""`make package-ci`, as CI and a laptop run it: all of it in `make soak`, as a workflow runs it for each change."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from adapter.archives.archive_reader import read_record
from adapter.archives.signing_keys import create_key_pair
from adapter.archives.verification import verify_archive
from tests.project import PROJECT

pytestmark = pytest.mark.torchserve

TINY = PROJECT / "models" / "tiny"


def package(output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(PROJECT), "package-ci"],
        env=os.environ | {"OUTPUT": str(output), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.skipif("TORCHBRIDGE_TEST_EVERY_POINT" not in os.environ, reason="make soak runs it")
def test_all_that_a_release_needs_is_there_when_all_of_it_has_passed(tmp_path: Path) -> None:
    private, public = create_key_pair(tmp_path / "release")
    secret, outputs = private.read_text(), tmp_path / "outputs"
    shutil.copytree(TINY, tmp_path / "models" / "ours")
    done = package(
        tmp_path / "dist",
        FROM=str(tmp_path),
        MODEL="models/ours",
        NAME="ours",
        VERSION="3.1",
        TORCHBRIDGE_SIGNING_KEY=secret,
        GITHUB_OUTPUT=str(outputs),
    )
    assert done.returncode == 0, done.stderr
    archive = tmp_path / "dist" / "ours-3.1.mar"
    assert sorted(path.name.removeprefix("ours-3.1.mar") for path in archive.parent.iterdir()) == [
        "",
        ".bom.cdx.json",
        ".provenance.json",
        ".sig",
    ]
    assert verify_archive(archive, public).is_signed
    digest = read_record(archive).digest
    assert outputs.read_text() == f"archive={archive}\ndigest={digest}\n"
    bill = json.loads(archive.with_name(f"{archive.name}.bom.cdx.json").read_text())
    assert bill["metadata"]["component"]["name"] == "ours"
    for line in secret.splitlines()[1:-1]:
        assert line not in done.stdout + done.stderr


def test_what_cannot_be_served_leaves_nothing_to_upload(tmp_path: Path) -> None:
    model = shutil.copytree(TINY, tmp_path / "model")
    (model / "config.json").write_text(json.dumps(json.loads((model / "config.json").read_text()) | {"auto_map": {}}))
    done = package(tmp_path / "dist", MODEL=str(model))
    assert done.returncode != 0
    assert "auto_map" in done.stderr
    assert not (tmp_path / "dist").exists()
