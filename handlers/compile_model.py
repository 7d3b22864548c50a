"""Compiles the steps of an unpacked archive.

`python -m handlers.compile_model DIRECTORY COMPILED_STEPS SCRATCH`
Prints the directory that it wrote, or ends with status 1 and one line on standard error.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch._inductor.runtime.cache_dir_utils import temporary_cache_dir

from handlers.archive_integrity import check_unpacked_files
from handlers.command_process import one_line_for
from handlers.compiled_steps import CompiledSteps, compile_all_steps, directory_of_steps, leave_out_pieces
from handlers.model_loading import LoadedModel
from handlers.self_check import check_engine, check_engine_beyond_original
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.steps_on_disk import keep
from handlers.worker_engine import load_packed_model, worker_engine

logger = logging.getLogger(__name__)


def compile_model(directory: Path, compiled_steps: Path, scratch: Path | None = None) -> Path:
    """Does nothing if the steps are there and can be loaded.

    Raises OSError, ValueError or RuntimeError, which says why not.

    `scratch`: on the disk of `compiled_steps`, for what is not whole yet; whoever may kill this process empties it.
    """
    check_unpacked_files(directory)
    settings = HandlerSettings.read(directory / "model-config.yaml")
    if settings.plain:
        raise UnsupportedModelError("a model that is to be plain (in its model-config.yaml) has no compiled steps")
    loaded = load_packed_model(directory / "model", settings)
    target = directory_of_steps(compiled_steps, loaded, settings)
    if target.exists():
        if _can_be_loaded(target, loaded):
            return target
        shutil.rmtree(target)  # they cannot be loaded here, as after a loss of power
    compiled_steps.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=scratch or compiled_steps) as temporary:
        written = Path(temporary) / "steps"
        written.mkdir()
        slots = settings.slots + settings.prefix_slots
        # Hundreds of megabytes of the cache die with it, and what g++ leaves where it is killed.
        with temporary_cache_dir(str(Path(temporary) / "cache")), _temporary_files_in(temporary):
            compile_all_steps(loaded.model, slots, loaded.context_length, written)
        _check_written(written, loaded, settings)
        keep(written, target)
    return target


@contextmanager
def _temporary_files_in(directory: str) -> Iterator[None]:
    """For the compilers that the block starts."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = directory
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def _can_be_loaded(target: Path, loaded: LoadedModel) -> bool:
    try:
        CompiledSteps(target, loaded.model)
    except OSError:
        return False
    return True


def _check_written(directory: Path, loaded: LoadedModel, settings: HandlerSettings) -> None:
    """Deletes the library for pieces of prompts if it fails: the others are used without it."""
    steps = CompiledSteps(directory, loaded.model)
    try:
        _check(steps, loaded, settings)
    except UnsupportedModelError as error:
        if not steps.has_pieces:
            raise
        logger.warning("torchbridge: pieces of prompts are not compiled: %s", error)
        leave_out_pieces(directory)
        _check(steps.without_pieces(), loaded, settings)


def _check(steps: CompiledSteps, loaded: LoadedModel, settings: HandlerSettings) -> None:
    """Checks the steps as a worker will, so that it finds none that it would have to do without."""
    engine = worker_engine(loaded, settings, steps)
    try:
        check_engine(engine, loaded.model)
        check_engine_beyond_original(engine, loaded.model)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"its compiled steps fail their check: {error}") from error


def main(directory: str, compiled_steps: str, scratch: str) -> None:
    with one_line_for(OSError, ValueError, RuntimeError):
        target = compile_model(Path(directory), Path(compiled_steps), Path(scratch))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
