"""A server of their own for tests that change its versions: TorchServe and the gateway, in a directory of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter.serving.whole_stack import whole_stack
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.recovery import changing
from adapter.versions.running_server import RunningServer
from tests.end_to_end.versions.light_archives import LightArchives
from tests.end_to_end.versions.light_command import light_workers
from tests.end_to_end.versions.tiny_archives import TinyArchives
from tests.free_ports import write_torchserve_config
from tests.waiting import PATIENCE_WITH_WORKERS


@dataclass(frozen=True)
class Site:
    """A server that runs, and what makes archives for it."""

    url: str
    run_directory: Path
    archives: LightArchives | TinyArchives

    @property
    def server(self) -> RunningServer:
        return RunningServer(self.run_directory)

    def deploy(self, version: str, *, keep: int = 2, promotes: bool = True, archive: Path | None = None) -> None:
        patience = {"load_timeout": PATIENCE_WITH_WORKERS, "drain_timeout": PATIENCE_WITH_WORKERS}
        options = DeploymentOptions(self.archives.public_key, promotes, keep, **patience)
        with changing(self.server, f"deploy {version}", print):
            deploy(self.server, archive or self.archives.make(version), options, print)

    def default_version(self) -> str:
        return self.server.management.default_version(self.archives.name)

    def registered(self) -> list[str]:
        return sorted(each.model_version for each in self.server.management.describe(self.archives.name))

    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.run_directory / "model_store").iterdir())


@contextmanager
def running_site(directory: Path, archives: LightArchives | TinyArchives | None = None) -> Iterator[Site]:
    """It serves version 1.0 of the light model, or of another one."""
    directory.mkdir(parents=True, exist_ok=True)
    archives = archives or LightArchives(directory / "archives")
    config = write_torchserve_config(directory / "config.properties")
    first = str(archives.make("1.0"))
    run, key = directory / "run", archives.public_key
    with (
        light_workers(),
        whole_stack(first, print, key=key, port=0, run_directory=run, config=config) as stack,
    ):
        yield Site(stack.url, run, archives)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running
