"""A worker that cannot be loaded for longer than TorchServe tries: the server starts it when the reason is over."""

import os
import re
import signal
from pathlib import Path

import pytest
import requests

from adapter.torchserve.keys import send_with_key
from adapter.versions.worker_revival import WorkerRevival
from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site, running_site
from tests.end_to_end.versions.light_archives import CONFIG, LightArchives
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

pytestmark = pytest.mark.torchserve


def is_given_up(site: Site) -> bool:
    """Whether TorchServe will not try after its next failure, and the last try is over (WorkerThread.java, retry)."""
    server = site.server
    answer = send_with_key("GET", f"{server.settings.torchserve_url}/ping", server.keys.inference_key())
    tries = re.findall("Retry worker|Auto recovery failed again", (site.run_directory / "logs/ts_log.log").read_text())
    return answer.status_code == requests.codes.server_error and tries[-1:] == ["Auto recovery failed again"]


def test_a_version_answers_again_whose_worker_torchserve_has_given_up(tmp_path: Path) -> None:
    archives = LightArchives(tmp_path / "archives", config=f"{CONFIG}maxRetryTimeoutInSec: 1\n")
    with running_site(tmp_path, archives) as site:
        [unpacked] = (site.run_directory / "tmp" / "models").iterdir()
        moved = unpacked.rename(tmp_path / "moved")
        [worker] = site.server.management.describe("light")[0].workers
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: is_given_up(site))
        moved.rename(unpacked)

        reports: list[str] = []

        def end_torchserve() -> None:
            raise AssertionError("all is unpacked")

        revival = WorkerRevival(reports.append, end_torchserve, longest_pause=0)
        wait_until(lambda: revival.look(site.server) is None and reports != [])

        wait_until(lambda: site.server.management.describe("light")[0].ready_workers == 1, PATIENCE_WITH_WORKERS)
        assert post(site.url, prompt="Once", max_length=4).json()["text"] == "xxxx"
