"""Archives whose handler is a few lines, for what TorchServe itself does with a worker."""

import json
import zipfile
from pathlib import Path

ANSWERS = """
def handle(data, context):
    return [{"ok": True}] * len(data or [])
"""
REFUSES = """
import sys

def handle(data, context):
    print("torchbridge: cannot load the model: its weights are of a kind unknown here", file=sys.stderr, flush=True)
    sys.exit(1)
"""
FAILS_TO_IMPORT = "import a_module_that_is_not_there\n"
ONE_WORKER = "minWorkers: 1\nmaxWorkers: 1\n"


def write_archive(directory: Path, name: str, handler: str, version: str = "1.0", *, config: str = ONE_WORKER) -> Path:
    archive = directory / f"{name}-{version}.mar"
    model = {"modelName": name, "modelVersion": version, "handler": "tiny_handler.py", "configFile": "config.yaml"}
    with zipfile.ZipFile(archive, "w") as mar:
        manifest = {
            "createdOn": "01/01/1980 00:00:00",
            "runtime": "python",
            "model": model,
            "archiverVersion": "0.12.0",
        }
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        mar.writestr("tiny_handler.py", handler)
        mar.writestr("config.yaml", config)
    return archive
