"""A worker that compiles in the background. A function plays the compiler."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import cast

from adapter.compilation import CompilationState
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.background_compilation import BackgroundCompilation
from handlers.build_process import BuildFailed
from handlers.compiled_steps import CompiledSteps

COMPILED, COMPILING = CompilationState.COMPILED, CompilationState.COMPILING
NOT_COMPILED = CompilationState.NOT_COMPILED
STEPS = cast(CompiledSteps, object())


class Worker:
    """Remembers what it has said and which steps it has taken."""

    def __init__(
        self,
        *,
        digest: str = "d1",
        steps: CompiledSteps | None = STEPS,
        refusal: Exception | None = None,
        name: str = "d1-archive-compiler",
    ) -> None:
        self.said: list[tuple[CompilationState, str | None]] = []
        self.taken: list[object] = []
        self.builds: list[Path] = []
        self.digest, self._steps, self._refusal, self._name = digest, steps, refusal, name
        self.is_broken = False  # what is there
        self.why_not_now: str | None = None
        self.failure: BuildFailed | None = None
        self.during_build: Callable[[], object] = lambda: None

    def run(self) -> "Worker":
        libraries = Path(os.environ[COMPILED_STEPS_VARIABLE]) / self.digest
        BackgroundCompilation(
            Path("unpacked"),
            libraries,
            self._report,
            name=self._name,
            load=lambda: None if self.is_broken else self._steps,
            take=self._take,
            why_not_now=lambda: self.why_not_now,
            build=self._build,
        ).run()
        return self

    @property
    def states(self) -> list[CompilationState]:
        return [state for state, _ in self.said]

    def _report(self, state: CompilationState, reason: str | None) -> None:
        self.said.append((state, reason))

    def _take(self, steps: object) -> Future[None]:
        self.taken.append(steps)
        outcome = Future[None]()
        outcome.set_exception(self._refusal) if self._refusal else outcome.set_result(None)
        return outcome

    def _build(self, _directory: Path, compiled_steps: Path, scratch: Path) -> None:
        assert [*scratch.parent.iterdir()] == [scratch]
        self.builds.append(scratch)
        (scratch / "half.so").touch()
        self.during_build()
        if self.failure:
            raise self.failure
        (compiled_steps / self.digest).mkdir()
        self.is_broken = False
        shutil.rmtree(scratch)
