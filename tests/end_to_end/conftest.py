"""One real TorchServe with two models for all tests here, on ports of its own, and a gateway before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.endless_model import model_config, write_endless_model
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.fakes import serving
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("models")
    store = directory / "model_store"
    write_endless_model(TINY, directory / "endless")
    config = directory / "model-config.yaml"
    config.write_text(model_config())
    return [
        build_archive(TINY, "tiny", "1.0", store),
        build_archive(directory / "endless", "endless", "1.0", store, config),
    ]


@pytest.fixture(scope="session")
def torchserve(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeProcess]:
    with running_torchserve(archives, tmp_path_factory.mktemp("run")) as process:
        yield process


@pytest.fixture(scope="session")
def gateway_settings(torchserve: TorchServeProcess, archives: list[Path]) -> Settings:
    return settings_before(torchserve, archives, "tiny")


@pytest.fixture(scope="session")
def gateway_url(gateway_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    batches = tmp_path_factory.mktemp("batches")
    with serving(create_app(gateway_settings.model_copy(update={"batch_directory": batches}))) as url:
        yield url
