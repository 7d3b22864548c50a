"""Twelve ways in which a deployment goes wrong, under load: nobody notices, and nothing of it is left."""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from adapter.archives.archive import build_archive
from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.archives.verification import VerificationError
from adapter.errors import UpstreamUnavailable
from adapter.probes import PROBES_ENTRY
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.probing import ProbeMismatch
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.errors import ChangeRefused, LoadFailed
from adapter.versions.recovery import changing
from adapter.versions.running_server import RunningServer
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import put, repack
from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site
from tests.end_to_end.versions.constant_load import constant_load
from tests.end_to_end.versions.light_archives import LIGHT_HANDLER, probes
from tests.project import PROJECT
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

pytestmark = pytest.mark.torchserve

INITIALIZE = "def initialize(self, context: Any) -> None:\n"


@contextmanager
def untouched(site: Site) -> Iterator[None]:
    """Whatever happens in the block: the default answers all the while, and nothing is left."""
    stored, state = site.stored(), site.server.state
    with constant_load(site.url) as load:
        load.wait_for(20)
        yield
        load.wait_for(len(load.answers) + 20)
    assert load.failures == []
    assert load.versions() == {"1.0"}
    assert site.default_version() == "1.0"
    assert site.registered() == ["1.0"]
    assert site.stored() == stored
    assert site.server.state == state
    assert site.server.journal.unfinished() is None


def failing(in_load: str) -> str:
    return LIGHT_HANDLER.replace(INITIALIZE, f"{INITIALIZE}        {in_load}\n")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        pytest.param("import a_module_that_is_not_there\n" + LIGHT_HANDLER, "a_module_that", id="import error"),
        pytest.param(failing("raise MemoryError('not enough for the weights')"), "not ready|dies", id="out of memory"),
        pytest.param(failing("import os; os.kill(os.getpid(), 9)"), "ends without a word", id="killed at load"),
        pytest.param(failing("time.sleep(100_000)"), r"Still loading .* 1 s \(--load-timeout\)", id="load timeout"),
    ],
)
def test_a_worker_that_does_not_load(site: Site, handler: str, reason: str) -> None:
    archive = site.archives.make("2.0", handler=handler)
    load_timeout = 1 if "load-timeout" in reason else PATIENCE_WITH_WORKERS
    options = DeploymentOptions(site.archives.public_key, load_timeout=load_timeout)
    with untouched(site), pytest.raises(LoadFailed, match=reason), changing(site.server, "deploy", print):
        deploy(site.server, archive, options, print)


def test_a_worker_that_is_killed_again_and_again_while_it_loads(site: Site) -> None:
    archive = site.archives.make("2.0", handler=failing("time.sleep(100_000)"))
    killed: set[int] = set()
    is_over = Event()

    def kill_workers() -> None:
        while not is_over.wait(0.01):
            for description in site.server.management.describe("light"):
                for worker in description.workers:
                    if description.model_version == "2.0" and worker.pid > 0 and worker.pid not in killed:
                        with suppress(psutil.NoSuchProcess):  # TorchServe ends it, too, when the version is withdrawn
                            psutil.Process(worker.pid).send_signal(signal.SIGKILL)
                            killed.add(worker.pid)

    with untouched(site):
        killer = Thread(target=kill_workers)
        killer.start()
        try:
            with pytest.raises(LoadFailed, match="dies"):
                site.deploy("2.0", archive=archive)
        finally:
            is_over.set()
            killer.join()
    assert len(killed) >= 2


def test_a_signature_of_another_key(site: Site, tmp_path: Path) -> None:
    archive = site.archives.make("2.0")
    private, _ = create_key_pair(tmp_path / "other")
    sign_file(archive, load_private_key(private))
    with untouched(site), pytest.raises(VerificationError, match="signed with another key"):
        site.deploy("2.0", archive=archive)


def test_a_signature_that_is_missing(site: Site) -> None:
    archive = site.archives.make("2.0")
    signature_path(archive).unlink()
    with untouched(site), pytest.raises(VerificationError, match="not signed"):
        site.deploy("2.0", archive=archive)


def test_a_byte_that_has_changed(site: Site) -> None:
    archive = site.archives.make("2.0")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with untouched(site), pytest.raises(VerificationError, match="changed"):
        site.deploy("2.0", archive=archive)


def test_files_that_are_not_the_model_s(site: Site, tmp_path: Path) -> None:
    """The real handler, and weights that do not belong to their configuration."""
    archive = build_archive(write_model(tmp_path / "model"), "light", "2.0", tmp_path)
    repack(archive, put(PROBES_ENTRY, probes("xxxx")))
    sign_file(archive, load_private_key(site.archives.public_key.with_suffix(".key")))
    with untouched(site), pytest.raises(LoadFailed, match="cannot load the model"):
        site.deploy("2.0", archive=archive)


def test_answers_that_are_not_those_of_the_packing(site: Site) -> None:
    archive = site.archives.make("2.0", answer="yyyy")
    with untouched(site), pytest.raises(ProbeMismatch):
        site.deploy("2.0", archive=archive)


def test_no_answers_to_compare_with(site: Site) -> None:
    archive = site.archives.make("2.0", answer=None)
    with untouched(site), pytest.raises(ChangeRefused, match="no probes"):
        site.deploy("2.0", archive=archive)


def test_a_version_that_is_there_already_with_another_content(site: Site) -> None:
    archive = site.archives.make("1.0", answer="xx")
    with untouched(site), pytest.raises(ChangeRefused, match="choose another version"):
        site.deploy("1.0", archive=archive)


DEPLOY = """
import sys
from pathlib import Path
from adapter import cli
sys.argv = ["torchbridge", "deploy", *sys.argv[1:]]
cli.main()
"""


def run_deploy(site: Site, archive: Path, **how: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DEPLOY, str(archive), "--key", str(site.archives.public_key)]
    command += ["--run-directory", str(site.run_directory)]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_WITH_WORKERS, check=False, **how
    )


def test_a_disk_that_takes_no_more(site: Site) -> None:
    archive = site.archives.make("2.0")
    most = archive.stat().st_size // 2

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # a write past it fails, as it does on a full disk

    with untouched(site):
        done = run_deploy(site, archive, preexec_fn=limit)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("torchbridge: ")]  # among its stages
    assert "File too large" in said[0]


class ServerWithOtherKeys(RunningServer):
    """Its keys have expired, and the one that would renew them is of another TorchServe."""

    def __init__(self, site: Site, key_file: Path) -> None:
        super().__init__(site.run_directory)
        keys = json.loads(self.keys.path.read_text())
        keys["management"]["expiration time"] = "2020-01-01T00:00:00.000000Z"
        keys["API"]["key"] = "ABCDEFGH"
        key_file.write_text(json.dumps(keys))
        self.management = ManagementClient(
            self.settings.management_url, KeyFile(key_file, self.settings.management_url)
        )


def test_keys_that_have_expired(site: Site, tmp_path: Path) -> None:
    archive = site.archives.make("2.0")
    server = ServerWithOtherKeys(site, tmp_path / "key_file.json")
    options = DeploymentOptions(site.archives.public_key)
    with untouched(site), pytest.raises(UpstreamUnavailable, match="refuses to renew"), changing(server, "d", print):
        deploy(server, archive, options, print)


def test_a_good_deployment_after_all_that(site: Site) -> None:
    site.deploy("2.0")
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "2.0"


def test_torchserve_that_is_gone(site: Site) -> None:
    """Last here: afterwards it answers nobody."""
    stored, state = site.stored(), site.server.state
    worker = psutil.Process(site.server.management.describe("light")[0].workers[0].pid)
    [java] = [parent for parent in worker.parents() if parent.name() == "java"]
    java.kill()
    wait_until(lambda: not worker.is_running())
    done = run_deploy(site, site.archives.make("3.0"))
    assert (done.returncode, site.stored(), site.server.state) == (1, stored, state)
    assert "TorchServe" in done.stderr
    assert site.server.journal.unfinished() is None
