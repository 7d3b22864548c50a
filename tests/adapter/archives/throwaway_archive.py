"""Archives whose handler is a few lines, for what TorchServe itself does with a worker."""

import inspect
import json
from pathlib import Path

from handlers import last_words
from tests.adapter.archives.repacking import write_contents

ANSWERS = """
def handle(data, context):
    return [{"ok": True}] * len(data or [])
"""
# It ends as the packed handler does: not before TorchServe has read why.
REFUSES = """
import sys
from handlers.last_words import wait_until_read

def handle(data, context):
    print("torchbridge: cannot load the model: its weights are of a kind unknown here", file=sys.stderr, flush=True)
    wait_until_read()
    sys.exit(1)
"""
FAILS_TO_IMPORT = "import a_module_that_is_not_there\n"
LOADS_FOR_EVER = """
import time

class Handler:
    def initialize(self, context):
        time.sleep(3_600)

    def handle(self, data, context):
        return data
"""
READS_THE_TERMINAL = """
import contextlib

class Handler:
    def initialize(self, context):
        with contextlib.suppress(OSError), open("/dev/tty") as terminal:
            terminal.read(1)

    def handle(self, data, context):
        return data
"""
CRASHES = """
import ctypes

class Handler:
    def initialize(self, context):
        ctypes.string_at(0)

    def handle(self, data, context):
        return data
"""
# The worker asks torch only whether an answer is a tensor: the true one takes it two seconds of a core.
TORCH = "class Tensor: ...\n"
ITS_PACKAGE = {"handlers/__init__.py": "", "handlers/last_words.py": inspect.getsource(last_words)}
ONE_WORKER = "minWorkers: 1\nmaxWorkers: 1\n"


def write_archive(directory: Path, name: str, handler: str, version: str = "1.0", *, config: str = ONE_WORKER) -> Path:
    archive = directory / f"{name}-{version}.mar"
    model = {"modelName": name, "modelVersion": version, "handler": "tiny_handler.py", "configFile": "config.yaml"}
    manifest = {"createdOn": "01/01/1980 00:00:00", "runtime": "python", "model": model, "archiverVersion": "0.12.0"}
    described = {"MAR-INF/MANIFEST.json": json.dumps(manifest), "config.yaml": config}
    contents = described | ITS_PACKAGE | {"tiny_handler.py": handler, "torch.py": TORCH}
    write_contents(archive, {name: content.encode() for name, content in contents.items()})
    return archive
