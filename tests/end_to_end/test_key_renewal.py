"""Keys that live for three seconds, against the real TorchServe: calls go on over many renewals."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from adapter.torchserve.keys import KeyFile
from adapter.torchserve.server_process import TorchServeProcess
from tests.adapter.archives.throwaway_archive import ANSWERS, write_archive
from tests.free_ports import torchserve_properties
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

RENEWALS = 3


@pytest.fixture(scope="module")
def torchserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeProcess]:
    archive = write_archive(tmp_path_factory.mktemp("store"), "echo", ANSWERS)
    properties = torchserve_properties() | {"token_expiration_min": "0.05"}
    with TorchServeProcess([archive], tmp_path_factory.mktemp("run"), properties) as process:
        process.start()
        process.wait_until_ready(print)
        yield process


def predict(torchserve: TorchServeProcess, key: str) -> int:
    url = f"{torchserve.properties['inference_address']}/predictions/echo"
    return requests.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code


def has_expired(keys: KeyFile) -> bool:
    written = json.loads(keys.path.read_text())["inference"]["expiration time"]
    return datetime.fromisoformat(written) < datetime.now(UTC)


def expect_service(torchserve: TorchServeProcess, keys: KeyFile) -> None:
    """A busy machine may be so late that the key's three seconds are over: only then is there another try."""

    def is_served() -> bool:
        status = predict(torchserve, keys.inference_key())
        assert status == 200 or has_expired(keys)
        return status == 200

    wait_until(is_served)


def test_an_expired_key_is_refused_and_the_next_one_is_taken(torchserve: TorchServeProcess) -> None:
    stale = torchserve.keys.inference_key()
    wait_until(lambda: has_expired(torchserve.keys))

    assert predict(torchserve, stale) == 400
    expect_service(torchserve, torchserve.keys)


def test_management_calls_outlive_their_keys(torchserve: TorchServeProcess) -> None:
    used = set()
    while len(used) < RENEWALS:
        assert torchserve.management.default_version("echo") == "1.0"
        used.add(torchserve.keys.management_key())
        time.sleep(0.1)


def test_two_processes_over_one_file_never_use_a_key_that_the_other_one_replaced(
    torchserve: TorchServeProcess,
) -> None:
    gateway = KeyFile(torchserve.keys.path, torchserve.keys.management_url)
    command_line = KeyFile(torchserve.keys.path, torchserve.keys.management_url)
    used = set()
    while len(used) < RENEWALS:
        for keys in (gateway, command_line):
            expect_service(torchserve, keys)
            used.add(keys.inference_key())
        time.sleep(0.1)


def test_a_renewal_on_demand_invalidates_the_old_key_at_once(torchserve: TorchServeProcess) -> None:
    old = torchserve.keys.inference_key()
    torchserve.keys.renew("inference")

    assert predict(torchserve, old) == 400
    expect_service(torchserve, torchserve.keys)


def test_the_key_file_is_ours_alone(torchserve: TorchServeProcess) -> None:
    assert Path(torchserve.keys.path).stat().st_mode & 0o777 == 0o600
