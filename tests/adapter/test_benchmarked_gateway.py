"""What `make bench-gateway` measures must answer: its upstream says what the gateway asks of a TorchServe."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.torchserve.keys import KeyFile
from adapter.torchserve.management_client import ManagementClient
from benchmarks import fake_upstream
from benchmarks.gateway_subjects import upstream


@pytest.fixture
def management(tmp_path: Path) -> Iterator[ManagementClient]:
    key = {"key": "benchmark", "expiration time": "2099-01-01T00:00:00Z"}
    key_file = tmp_path / "key_file.json"
    key_file.write_text(json.dumps({"inference": key, "management": key, "API": key}), encoding="utf-8")
    with upstream() as fake:
        yield ManagementClient(fake.url, KeyFile(key_file, fake.url))


def test_the_upstream_describes_itself_as_torchserve_does(management: ManagementClient) -> None:
    [name] = management.model_names()
    [description] = management.describe(name)
    assert (name, description.model_version) == (fake_upstream.MODEL, fake_upstream.VERSION)
    assert description.ready_workers == 1
