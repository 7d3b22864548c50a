"""Serves one archive in a TorchServe of its own, for as long as it takes to ask it what it answered when packed."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from adapter.archives.archive_reader import read_manifest
from adapter.probes import Probe, Probes
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.ports import free_addresses
from adapter.torchserve.probing import probe, warm_up
from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from adapter.validation.settings_file import read_settings


@contextlib.contextmanager
def served_alone(archive: Path, report: Callable[[str], None]) -> Iterator[TorchServeProcess]:
    """Serves it on free ports and in a temporary directory. In the block it is ready. `report` is told of stages."""
    directory = Path(tempfile.mkdtemp(prefix="torchbridge-"))
    with contextlib.ExitStack() as leftovers:
        leftovers.callback(shutil.rmtree, directory, ignore_errors=True)
        with TorchServeProcess(
            [archive], directory, free_addresses(), load_timeout=read_settings(None).load_timeout
        ) as process:
            try:
                process.start()
                process.wait_until_ready(report)
            except StartFailed:
                leftovers.pop_all()  # the message may name the logs
                raise
            yield process


async def probe_archive(
    archive: Path, process: TorchServeProcess, probes: Probes, report: Callable[[Probe], None]
) -> None:
    """Asks the process that serves the archive. Raises ProbeMismatch, or one of adapter.errors."""
    model = read_manifest(archive).model
    settings = Settings(
        torchserve_url=process.properties["inference_address"],
        management_url=process.properties["management_address"],
        key_file=process.keys.path,
    )
    registry = ModelRegistry(process.management, model.name)
    async with InferenceClient(settings, process.keys, registry.resolve_anew) as inference:
        await warm_up(inference, model.name, model.version, probes)
        await probe(inference, model.name, model.version, probes, report)
