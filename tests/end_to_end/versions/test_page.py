"""The life of a version, in the first commands of docs/versions.md and while clients ask."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import DOCS, blocks_of
from tests.end_to_end.versions.constant_load import constant_load
from tests.free_ports import write_torchserve_config
from tests.project import PROJECT
from tests.waiting import PATIENCE_WITH_WORKERS

pytestmark = pytest.mark.torchserve

ACTIVATE, *COMMANDS = next(b for b in blocks_of(DOCS / "versions.md") if b.language == "bash").code.splitlines()
SELDOM = 0.5  # seconds: the real model's workers, which start meanwhile, need the cores
PACKED = PROJECT / "model_store" / "tiny-2.0.mar"


@pytest.fixture
def packed() -> Iterator[None]:
    """The page packs into the project's own store: what lies there already stays."""
    before = PACKED.read_bytes() if PACKED.exists() else None
    yield
    if before is None:
        PACKED.unlink(missing_ok=True)
    else:
        PACKED.write_bytes(before)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """As by `make serve`, but in a directory and on ports of its own."""
    config = write_torchserve_config(tmp_path / "c.properties")
    command = [str(Path(sys.executable).with_name("torchbridge")), "serve", "--port", "0"]
    command += ["--run-directory", str(tmp_path), "--torchserve-config", str(config)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serve:
        assert serve.stdout is not None
        for line in serve.stdout:
            if found := re.search(r"Serving at (\S+) until", line):
                yield found[1]
                break
        serve.terminate()
        serve.stdout.read()


@pytest.mark.usefixtures("packed")
def test_a_version_lives_in_six_commands_and_nobody_notices(served: str, tmp_path: Path) -> None:
    assert (ACTIVATE, len(COMMANDS)) == ("source .venv/bin/activate", 6)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as that makes it
    environment = os.environ | {"TORCHBRIDGE_RUN_DIRECTORY": str(tmp_path), "PATH": path}
    outputs = []
    with constant_load(served, pause=SELDOM) as load:
        for command in COMMANDS:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_WITH_WORKERS,
                check=False,
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            outputs.append(done.stdout)
            load.wait_for(len(load.answers) + 8)
    assert load.failures == []
    assert load.versions() == {"1.0", "2.0"}
    _, deployed, promoted, status, rolled_back, retired = outputs
    assert "tiny 2.0 is deployed beside the default" in deployed
    assert "tiny 2.0 is the default" in promoted
    assert re.search(r"tiny +1\.0 +previous.*\ntiny +2\.0 +default", status)
    assert "tiny 1.0 is the default" in rolled_back
    assert "tiny 2.0 is retired" in retired
