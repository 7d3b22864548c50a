"""The balancers of benchmarks: HAProxy takes their configurations, which choose hosts as they say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.balancer import Choice, configuration
from tests.end_to_end.load_balancer.haproxy import haproxy_program

URLS = ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]
LINES = {Choice.FEWEST: ["leastconn"], Choice.TURNS: ["roundrobin"], Choice.USER: ["hash var(txn.user)"]}


@pytest.mark.parametrize("choice", Choice)
def test_a_balancer_chooses_as_it_says(choice: Choice) -> None:
    text = configuration(URLS, choice)
    assert re.findall(r"^    balance (.*)$", text, re.MULTILINE) == LINES[choice]
    assert re.findall(r"^    server \S+ (.*)$", text, re.MULTILINE) == ["127.0.0.1:8001", "127.0.0.1:8002"]


@pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it")
@pytest.mark.parametrize("choice", Choice)
def test_haproxy_takes_it(choice: Choice, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(configuration(URLS, choice))
    done = subprocess.run(
        [str(haproxy_program()), "-c", "-f", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"TORCHBRIDGE_BIND": "127.0.0.1:8000"},
    )
    assert (done.returncode, done.stderr) == (0, "")
