"""A TorchServe of a test's own, over archives of its own, and a gateway before it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from tests.fakes import serving
from tests.free_ports import torchserve_properties


@contextmanager
def running_torchserve(archives: Sequence[Path], run_directory: Path) -> Iterator[TorchServeProcess]:
    """Ready, on ports that were free."""
    with TorchServeProcess(archives, run_directory, torchserve_properties()) as process:
        process.start()
        process.wait_until_ready(print)
        yield process


def settings_before(torchserve: TorchServeProcess, archives: Sequence[Path], default_model: str | None) -> Settings:
    return Settings(
        torchserve_url=torchserve.properties["inference_address"],
        management_url=torchserve.properties["management_address"],
        key_file=torchserve.keys.path,
        model_store=archives[0].parent,
        compilations=torchserve.directory.compilations,
        default_model=default_model,
    )


@contextmanager
def running_gateway(archives: Sequence[Path], run_directory: Path, default_model: str | None = None) -> Iterator[str]:
    """Its address."""
    with (
        running_torchserve(archives, run_directory) as torchserve,
        serving(create_app(settings_before(torchserve, archives, default_model))) as url,
    ):
        yield url
