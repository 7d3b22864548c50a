"""Has a worker's steps compiled while it serves, and takes them without a restart or a request that notices.

One build at a time of one installation, which is one directory of compiled steps: who has waited for its turn may find
that its steps are there by then. They are checked on the engine's thread, between its steps, and taken between two.
"""

import fcntl
import logging
import os
import shutil
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
from handlers.cpp_compiler import compiler
from handlers.engine import Engine
from handlers.forward_pass import PackedForwardPass
from handlers.model_loading import LoadedModel
from handlers.past_builds import PastBuilds, name_of_build
from handlers.run_ahead import RunAhead
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.spare_memory import why_no_build
from handlers.steps_on_disk import note_use
from handlers.worker_engine import has_compiled_steps, take_compiled_steps

logger = logging.getLogger(__name__)

# In the directory of compiled steps: the lock, and the records of past_builds.py.
_OWN = ".background"

Report = Callable[[CompilationState, str | None], None]


def reporter(model: str, version: str) -> Report:
    """Reports progress in the log, and to `torchbridge status`."""
    directory = os.environ.get(COMPILATIONS_VARIABLE)

    def report(state: CompilationState, reason: str | None = None) -> None:
        logger.info("torchbridge: %s %s is %s%s", model, version, state, f": {reason}" if reason else "")
        if directory is not None:
            with suppress(OSError):  # of a full disk: serving goes on
                Compilation(state=state, reason=reason).write(Path(directory), model, version)

    return report


class BackgroundCompilation:
    """
    directory: of the unpacked archive; libraries: where its steps are, once they are compiled; name: as name_of_build.
    load: gives them; None where that fails, which it logs.
    take: has the engine check the steps and use them; its future fails where it cannot.
    why_not_now: a reason against a build at this moment, which may pass.
    """

    def __init__(
        self,
        directory: Path,
        libraries: Path,
        report: Report,
        *,
        name: str,
        load: Callable[[], CompiledSteps | None],
        take: Callable[[CompiledSteps], Future[None]],
        why_not_now: Callable[[], str | None],
        build: Callable[[Path, Path, Path], None] = build,
    ) -> None:
        self._directory, self._libraries = directory, libraries
        self._report, self._load, self._take, self._build = report, load, take, build
        self._why_not_now = why_not_now
        self._compiled_steps = libraries.parent
        self._own = self._compiled_steps / _OWN
        self._past_builds = PastBuilds(self._own, name)

    def start(self) -> None:
        """In a thread that computes nothing (see text_generation.py for why)."""
        self._report(CompilationState.WAITING, None)
        threading.Thread(target=self.run, name="compilation", daemon=True).start()

    def run(self) -> None:
        try:
            self._take(self._steps()).result()
        except (BuildFailed, UnsupportedModelError) as error:
            self._report(CompilationState.NOT_COMPILED, str(error))
        except Exception as error:
            logger.exception("torchbridge: the compiled steps are left out")
            self._report(CompilationState.NOT_COMPILED, repr(error))
        else:
            note_use(self._libraries)  # others may have been used since they were loaded
            self._report(CompilationState.COMPILED, None)

    def _steps(self) -> CompiledSteps:
        """The steps that are there, or new ones. Raises BuildFailed, also if that was so before."""
        if (steps := self._loaded()) is not None:
            return steps
        with self._lock():
            if (steps := self._loaded()) is not None:
                return steps
            # They cannot be loaded here, as after a loss of power, and are in the way of others.
            shutil.rmtree(self._libraries, ignore_errors=True)
            self._build_them()
        if (steps := self._loaded()) is None:
            raise BuildFailed("they cannot be loaded: the worker's log says why", is_lasting=False)
        return steps

    def _loaded(self) -> CompiledSteps | None:
        return self._load() if self._libraries.exists() else None

    def _build_them(self) -> None:
        """Hold the lock."""
        with self._past_builds.new_build() as scratch:
            if reason := self._why_not_now():
                raise BuildFailed(reason, is_lasting=False)
            self._report(CompilationState.COMPILING, None)
            self._build(self._directory, self._compiled_steps, scratch)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Holds the lock, which ends with this process, however that ends."""
        self._own.mkdir(parents=True, exist_ok=True)
        with (self._own / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


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
    """Compiles, or says why not. `is_left_out`: there were compiled steps at the load, which failed the check."""

    def take(steps: CompiledSteps) -> Future[None]:
        outcome: Future[None] = Future()
        run_ahead.between_steps(take_compiled_steps(engine, loaded, settings, steps, outcome))
        return outcome

    if has_compiled_steps(engine):
        report(CompilationState.COMPILED, None)
    elif is_left_out:
        report(CompilationState.NOT_COMPILED, "what was compiled fails the worker's check: its log says more")
    elif reason := _why_not_wanted(settings) or _why_not_this_model(loaded, engine) or _why_not_here():
        report(CompilationState.NOT_COMPILED, reason)
    else:
        compiled_steps = Path(os.environ[COMPILED_STEPS_VARIABLE]).resolve()
        libraries = directory_of_steps(compiled_steps, loaded, settings)
        BackgroundCompilation(
            directory,
            libraries,
            report,
            name=name_of_build(libraries.name, directory),
            load=partial(find_compiled_steps, loaded, settings),
            take=take,
            why_not_now=partial(why_no_build, loaded.model),
        ).start()


def _why_not_wanted(settings: HandlerSettings) -> str | None:
    if settings.plain or not settings.compile:
        said = "plain: true" if settings.plain else "compile: false"
        return f"switched off: {said} in the model's configuration"
    return None


def _why_not_this_model(loaded: LoadedModel, engine: Engine) -> str | None:
    if loaded.model.device.type != "cpu":
        return "compiled steps are for the CPU alone"
    if not isinstance(engine.forward_pass, PackedForwardPass):
        return f"{loaded.model.config.model_type} models have attention of their own"
    return None


def _why_not_here() -> str | None:
    if os.environ.get(COMPILE_VARIABLE) != "true" or COMPILED_STEPS_VARIABLE not in os.environ:
        return f"switched off: --no-compile, or {COMPILE_VARIABLE}"
    if shutil.which(compiler()) is None:
        return f"there is no C++ compiler ({compiler()})"
    return None
