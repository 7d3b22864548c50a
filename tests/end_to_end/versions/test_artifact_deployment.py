"""A version that comes from a registry, on the real TorchServe with a light model."""

from pathlib import Path

import pytest

from adapter import cli
from adapter.artifacts.push import push
from adapter.artifacts.reference import ArtifactReference
from tests.end_to_end.gateway_calls import post
from tests.end_to_end.versions.conftest import Site
from tests.registry_server import running_registry

pytestmark = pytest.mark.torchserve


def test_a_signed_archive_goes_from_one_machine_over_a_registry_to_a_server(site: Site, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        pushed = push(site.archives.make("2.0"), ArtifactReference.parse(registry.reference("light:2.0")))
        command = ["deploy", str(pushed), "--key", str(site.archives.public_key)]
        cli.app([*command, "--run-directory", str(site.run_directory)], standalone_mode=False)
    assert post(site.url, prompt="Once", max_length=2).json()["model_version"] == "2.0"
    assert site.stored() == ["light-1.0.mar", "light-1.0.mar.sig", "light-2.0.mar", "light-2.0.mar.sig"]
    assert list((site.run_directory / "pulled").iterdir()) == []
