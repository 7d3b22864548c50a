"""One real TorchServe with two models for all tests here, on ports of its own, and a gateway before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.archives.archive import PROJECT, build_archive
from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.endless_model import MODEL_CONFIG, write_endless_model
from tests.fakes import serving
from tests.free_ports import torchserve_properties

TINY = PROJECT / "models" / "tiny"


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("models")
    store = directory / "model_store"
    write_endless_model(TINY, directory / "endless")
    config = directory / "model-config.yaml"
    config.write_text(MODEL_CONFIG)
    return [
        build_archive(TINY, "tiny", "1.0", store),
        build_archive(directory / "endless", "endless", "1.0", store, config),
    ]


@pytest.fixture(scope="session")
def torchserve(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeProcess]:
    with TorchServeProcess(archives, tmp_path_factory.mktemp("run"), torchserve_properties()) as process:
        process.start()
        process.wait_until_ready(print)
        yield process


@pytest.fixture(scope="session")
def gateway_settings(torchserve: TorchServeProcess) -> Settings:
    return Settings(
        torchserve_url=torchserve.properties["inference_address"],
        management_url=torchserve.properties["management_address"],
        key_file=torchserve.keys.path,
        default_model="tiny",
    )


@pytest.fixture(scope="session")
def gateway_url(gateway_settings: Settings) -> Iterator[str]:
    with serving(create_app(gateway_settings)) as url:
        yield url
