"""All of `torchbridge serve`, on ports and in a directory of its own."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.step_compilation import compile_steps
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.torchserve.ports import free_addresses
from adapter.torchserve.server_process import CONFIG_FILE
from benchmarks.random_models import CACHE
from benchmarks.rounds import console
from benchmarks.server_process import ServerProcess, has_said

_NAME = "torchbridge-serve"
_LONGEST_STOP = 3_600  # seconds
_COMPILED_STEPS, _NONE = CACHE / "compiled_steps", CACHE / "no_compiled_steps"


def generation(prompt: str, max_length: int) -> dict[str, Any]:
    return {"prompt": prompt, "max_length": max_length, "temperature": 0}


def pack(model: Path, threads: int, *, name: str | None = None, **types: str) -> Path:
    """An archive that is called as the model's directory, or `name`, and, if some are given, these types.

    It has our own defaults but for the threads, which would be measured, and the same ones for all.
    types: `dtype` or `quantization`, as in model-config.yaml.
    """
    return _pack(model, "-".join([name or model.name, *types.values()]), {"threads": threads, **types})


def pack_with_defaults(model: Path, name: str) -> Path:
    """An archive of which nothing is said that a user would say."""
    return _pack(model, name, {})


def _pack(model: Path, name: str, handler: dict[str, Any]) -> Path:
    config = yaml.safe_load(DEFAULT_MODEL_CONFIG.read_text(encoding="utf-8"))
    config["handler"] |= handler
    # While others have the machine it is stopped, for longer than TorchServe waits for a worker before it ends it.
    config["responseTimeout"] = _LONGEST_STOP
    store = CACHE / "throughput"
    store.mkdir(parents=True, exist_ok=True)
    file = store / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return build_archive(model, name, "1.0", store, file)


def compiled(archive: Path) -> Path:
    """The directory of its compiled steps, made at the first call as `torchbridge compile` makes it."""
    console.print(f"{archive.name}: its steps are compiled, which takes a minute or three at first")
    return compile_steps(archive, _COMPILED_STEPS)


def where_workers_look(*, is_compiled: bool) -> dict[str, str]:
    """The environment of workers that run with the compiled steps of their archive, or surely without."""
    return {COMPILED_STEPS_VARIABLE: str(_COMPILED_STEPS if is_compiled else _NONE)}


@contextmanager
def own_stack(archive: Path, *, is_compiled: bool = False) -> Iterator[ServerProcess]:
    """`torchbridge serve`, on ports and in a directory that nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="torchbridge-") as directory:
        config = Path(directory) / "config.properties"
        overrides = [f"{key}={value}" for key, value in free_addresses().items()]
        config.write_text("\n".join([CONFIG_FILE.read_text(encoding="utf-8"), *overrides, ""]), encoding="utf-8")
        command = [
            *(str(Path(sys.executable).with_name("torchbridge")), "serve", "--model", str(archive), "--port", "{port}"),
            *("--run-directory", str(Path(directory) / "run"), "--torchserve-config", str(config)),
        ]
        own = {"TORCHBRIDGE_CACHE_MAX_AGE": "0", "TORCHBRIDGE_COMPILE": "false"}  # no build beside what is measured
        environment = own | where_workers_look(is_compiled=is_compiled)
        # Not before it has given its sample answer: it ends where that fails, as it would if it were stopped meanwhile.
        is_ready = has_said(_NAME, "Serving at")
        with ServerProcess(_NAME, command, is_ready=is_ready, environment=environment) as server:
            yield server
