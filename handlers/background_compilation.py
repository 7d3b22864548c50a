"""Has a worker's decode steps compiled while it serves, and takes them without a restart or a request that notices.

One build at a time on this machine: who has waited for its turn may find that its steps are there by then. They are
checked on the engine's thread, between its steps, and taken between two of them.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from adapter.compilation import COMPILATIONS_VARIABLE, COMPILE_VARIABLE, Compilation, CompilationState
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.build_process import BuildFailed, build
from handlers.compiled_steps import CompiledSteps, directory_of_steps, find_compiled_steps
from handlers.engine import Engine
from handlers.forward_pass import PackedForwardPass
from handlers.model_loading import LoadedModel
from handlers.run_ahead import RunAhead
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import has_compiled_steps, take_compiled_steps

logger = logging.getLogger(__name__)

# In the directory of compiled steps: the lock, what is not whole yet, and why what cannot be made was not made.
_OWN = ".background"

Report = Callable[[CompilationState, str | None], None]


def reporter(model: str, version: str) -> Report:
    """Says it in the log, and to `torchbridge status`."""
    directory = os.environ.get(COMPILATIONS_VARIABLE)

    def report(state: CompilationState, reason: str | None = None) -> None:
        logger.info("torchbridge: %s %s is %s%s", model, version, state, f": {reason}" if reason else "")
        if directory is not None:
            with suppress(OSError):  # of a full disk: serving goes on
                Compilation(state=state, reason=reason).write(Path(directory), model, version)

    return report


class BackgroundCompilation:
    """
    directory: of the unpacked archive; libraries: where its steps are, once they are compiled.
    load: gives them; None where that fails, which it logs.
    take: has the engine check the steps and use them; its future fails where it cannot.
    """

    def __init__(
        self,
        directory: Path,
        libraries: Path,
        report: Report,
        *,
        load: Callable[[], CompiledSteps | None],
        take: Callable[[CompiledSteps], Future[None]],
        build: Callable[[Path, Path, Path], None] = build,
    ) -> None:
        self._directory, self._libraries = directory, libraries
        self._report, self._load, self._take, self._build = report, load, take, build
        self._compiled_steps = libraries.parent
        self._own = self._compiled_steps / _OWN
        self._failure = self._own / "failed" / self._libraries.name

    def start(self) -> None:
        """In a thread that computes nothing (see text_generation.py for why)."""
        self._report(CompilationState.WAITING, None)
        threading.Thread(target=self.run, name="compilation", daemon=True).start()

    def run(self) -> None:
        try:
            self._build_unless_there()
            self._take(self._loaded()).result()
        except (BuildFailed, UnsupportedModelError) as error:
            self._report(CompilationState.NOT_COMPILED, str(error))
        except Exception as error:
            logger.exception("torchbridge: the compiled steps are left out")
            self._report(CompilationState.NOT_COMPILED, repr(error))
        else:
            self._report(CompilationState.COMPILED, None)

    def _loaded(self) -> CompiledSteps:
        if (steps := self._load()) is None:
            raise BuildFailed("they cannot be loaded: the worker's log says why", is_lasting=False)
        return steps

    def _build_unless_there(self) -> None:
        """Raises BuildFailed, also where that was so before."""
        if self._libraries.exists():
            return
        with self._lock():
            if self._libraries.exists():
                return
            if self._failure.exists():
                reason = self._failure.read_text(encoding="utf-8")
                raise BuildFailed(f"{reason} (not tried again while there is {self._failure})", is_lasting=True)
            self._report(CompilationState.COMPILING, None)
            try:
                self._build(self._directory, self._compiled_steps, self._scratch())
            except BuildFailed as failure:
                if failure.is_lasting:
                    self._failure.parent.mkdir(exist_ok=True)
                    self._failure.write_text(str(failure), encoding="utf-8")
                raise

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """It ends with this process, however that ends."""
        self._own.mkdir(parents=True, exist_ok=True)
        with (self._own / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _scratch(self) -> Path:
        """Empty. Of an earlier one nothing is left, also where the machine went down. Hold the lock."""
        parent = self._own / "scratch"
        shutil.rmtree(parent, ignore_errors=True)
        parent.mkdir()
        return Path(tempfile.mkdtemp(dir=parent))


def compile_in_background(
    directory: Path,
    report: Report,
    *,
    loaded: LoadedModel,
    settings: HandlerSettings,
    engine: Engine,
    run_ahead: RunAhead,
    is_left_out: bool,
) -> None:
    """Or says why not. `is_left_out`: there were compiled steps when the worker loaded, and they failed its check."""

    def take(steps: CompiledSteps) -> Future[None]:
        outcome: Future[None] = Future()
        run_ahead.between_steps(take_compiled_steps(engine, loaded, settings, steps, outcome))
        return outcome

    if has_compiled_steps(engine):
        report(CompilationState.COMPILED, None)
    elif is_left_out:
        report(CompilationState.NOT_COMPILED, "what was compiled fails the worker's check: its log says more")
    elif reason := _why_not_this_model(loaded, settings, engine) or _why_not_here(is_wanted=settings.compile):
        report(CompilationState.NOT_COMPILED, reason)
    else:
        compiled_steps = Path(os.environ[COMPILED_STEPS_VARIABLE]).resolve()
        libraries = directory_of_steps(compiled_steps, loaded, settings)
        load = partial(find_compiled_steps, loaded, settings)
        BackgroundCompilation(directory, libraries, report, load=load, take=take).start()


def _why_not_this_model(loaded: LoadedModel, settings: HandlerSettings, engine: Engine) -> str | None:
    if loaded.model.device.type != "cpu":
        return "compiled steps are for the CPU alone"
    if settings.quantization is not None:
        return f"not together with quantization: {settings.quantization}"
    if not isinstance(engine.forward_pass, PackedForwardPass):
        return f"{loaded.model.config.model_type} models have attention of their own"
    return None


def _why_not_here(*, is_wanted: bool) -> str | None:
    """`is_wanted`: by the model's configuration."""
    if not is_wanted:
        return "switched off: compile: false in the model's configuration"
    if os.environ.get(COMPILE_VARIABLE) != "true" or COMPILED_STEPS_VARIABLE not in os.environ:
        return f"switched off: --no-compile, or {COMPILE_VARIABLE}"
    compiler = os.environ.get("CXX") or "g++"  # as inductor finds it (torch/_inductor/config.py, cpp.cxx)
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    return None
