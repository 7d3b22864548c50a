"""The wheels as uvx runs them: with what a registry has for them, in an environment that it makes, from any directory.

`make soak` runs it: it downloads 350 MB, and uv's cache of its own takes 1.2 GB for that time.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.end_to_end.serve_command import read_until, url_in
from tests.end_to_end.test_installed_wheel import built, torchserve_config
from tests.processes import processes_of
from tests.project import PROJECT
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif("TORCHBRIDGE_TEST_EVERY_POINT" not in os.environ, reason="`make soak` downloads what it needs"),
]


class Uvx(NamedTuple):
    """What is written before the words of `torchbridge`, where it is run, and what it leaves there."""

    command: list[str]
    environment: dict[str, str]
    wheel: Path
    empty: Path


def choice_of_torch() -> list[str]:
    """As docs/quick-start.md has it; or of the files that pip was told of here, for uv reads no settings of pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    values = re.findall(r"^\S*\.find-links=(.*)$", listed, re.MULTILINE)
    places = sorted({place for value in values for place in ast.literal_eval(value).split()})
    return [f"--find-links={place}" for place in places] or ["--torch-backend=cpu"]


@pytest.fixture(scope="module")
def uvx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uvx]:
    """Installed, with a cache of its own."""
    wheels, empty = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("empty")
    wheel = built(PROJECT, wheels)
    client = built(PROJECT / "torchbridge", tmp_path_factory.mktemp("client"))
    client.rename(wheels / client.name)
    program = str(Path(sys.executable).with_name("uvx"))
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS", "SSL_CERT_FILE") if name in os.environ
    }
    with tempfile.TemporaryDirectory() as home:  # with a short name, as people's are: sockets lie below it
        options = ["--python", sys.executable, "--find-links", str(wheels), *choice_of_torch()]
        environment = kept | {"HOME": home, "TORCHBRIDGE_COMPILE": "false", "HF_HUB_OFFLINE": "1"}
        command = [program, *options, "torchbridge"]
        subprocess.run([*command, "--version"], cwd=empty, env=environment, check=True, timeout=PATIENCE_WITH_WORKERS)
        yield Uvx(command, environment | {"UV_OFFLINE": "1"}, wheel, empty)


def test_a_server_that_was_installed_answers_without_a_network(uvx: Uvx, tmp_path: Path) -> None:
    config = str(torchserve_config(tmp_path, uvx.wheel))
    with subprocess.Popen(
        [*uvx.command, "serve", "--port", "0", "--torchserve-config", config],
        cwd=uvx.empty,
        env=uvx.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            url = url_in(read_until(server, "curl"))
            body = {"prompt": "Once upon a time", "max_length": 3}
            answer = requests.post(f"{url}/generate", json=body, timeout=PATIENCE)
        finally:
            server.terminate()
            server.communicate()
    assert answer.json()["tokens_generated"] == 3
    assert list(uvx.empty.iterdir()) == []
    state = Path(uvx.environment["HOME"]) / ".local" / "state" / "torchbridge"
    assert state.is_dir()
    wait_until(lambda: not processes_of(state))
