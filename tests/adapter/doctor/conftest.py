import os
from pathlib import Path

import pytest

from adapter.doctor.finding import Scene
from tests.free_ports import free_port, torchserve_properties


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Where all is well, as far as this machine is."""
    monkeypatch.setenv("TORCHBRIDGE_PORT", str(free_port()))
    run_directory = tmp_path / "run"
    run_directory.mkdir(mode=0o700)
    config = tmp_path / "config.properties"
    addresses = torchserve_properties()
    lines = [f"{name}={value}" for name, value in addresses.items()]
    hosts = ["grpc_inference_address=127.0.0.1", "grpc_management_address=127.0.0.1"]
    config.write_text("\n".join((*lines, *hosts)))
    return Scene(run_directory, config, os.environ)
