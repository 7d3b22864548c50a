"""TorchServe with its dynamic batching: packs the model with torch-model-archiver, and serves it until SIGTERM.

TorchServe runs with our config.properties and our log configuration, which cost it less than its own defaults do.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import yaml

from adapter.torchserve.ports import free_addresses
from adapter.torchserve.server_process import TorchServeProcess
from benchmarks.peers.command_line import parse_arguments

_NAME = "generate"
_HANDLER = Path(__file__).with_name("torchserve_batching_handler.py")
_SECONDS_BETWEEN_LOOKS = 0.5


def pack(model: Path, threads: int, directory: Path, store: Path) -> None:
    """Has torch-model-archiver make an archive of the model in `store`."""
    config = directory / "model-config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "minWorkers": 1,
                "maxWorkers": 1,
                "batchSize": 16,
                "maxBatchDelay": 50,  # milliseconds
                "responseTimeout": 600,  # seconds; a slow answer is to be measured, not cut off
                "handler": {"threads": threads},
            }
        ),
        encoding="utf-8",
    )
    temporary = directory / "archiver"
    temporary.mkdir()
    subprocess.run(  # noqa: S603 - our own command
        [
            str(Path(sys.executable).with_name("torch-model-archiver")),
            *("--model-name", _NAME, "--version", "1.0"),
            *("--handler", str(_HANDLER), "--config-file", str(config)),
            *("--extra-files", str(model), "--export-path", str(store)),
        ],
        check=True,
        env=os.environ | {"TMPDIR": str(temporary)},  # it deletes what has the model's name there
    )


def main() -> None:
    arguments = parse_arguments()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    properties = free_addresses() | {
        "inference_address": f"http://127.0.0.1:{arguments.port}",
        "disable_token_authorization": "true",
        "load_models": f"{_NAME}.mar",  # as an archive that is not ours: TorchServeProcess would look into it
    }
    with tempfile.TemporaryDirectory(prefix="torchserve-") as directory:
        run_directory = Path(directory) / "run"  # without archives TorchServe's model store is where it runs
        run_directory.mkdir(mode=0o700)
        pack(arguments.model, arguments.threads, Path(directory), run_directory)
        with TorchServeProcess([], run_directory, properties) as torchserve:
            torchserve.start()
            while torchserve.is_running() and not stopped.wait(_SECONDS_BETWEEN_LOOKS):
                pass
            if not stopped.is_set():
                sys.exit(torchserve.directory.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
