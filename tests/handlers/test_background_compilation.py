"""Who compiles and when, and what a worker says of it. A function plays the compiler."""

import os
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import pytest
from transformers import PreTrainedModel

from adapter.compilation import COMPILATIONS_VARIABLE, COMPILE_VARIABLE, Compilation, CompilationState
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.background_compilation import BackgroundCompilation, compile_in_background, reporter
from handlers.build_process import BuildFailed
from handlers.compiled_steps import CompiledSteps
from handlers.model_loading import LoadedModel
from handlers.past_builds import PastBuilds, name_of_build
from handlers.run_ahead import RunAhead
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import worker_engine
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH, make_model
from tests.waiting import PATIENCE, wait_until

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


@pytest.fixture(autouse=True)
def compiled_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(tmp_path / "steps"))
    return tmp_path / "steps"


def test_steps_that_are_not_there_are_made_and_taken() -> None:
    worker = Worker().run()

    assert worker.said == [(COMPILING, None), (COMPILED, None)]
    assert worker.taken == [STEPS]


def test_steps_that_are_there_by_now_are_taken_without_a_build() -> None:
    Worker().run()
    worker = Worker().run()

    assert (worker.states, worker.taken, worker.builds) == ([COMPILED], [STEPS], [])


@pytest.mark.parametrize("digest", ["d1", "d2"], ids=["of the same steps", "of others"])
def test_one_build_at_a_time_and_each_takes_its_own(digest: str, compiled_steps: Path) -> None:
    first, second = Worker(), Worker(digest=digest)
    threads = [threading.Thread(target=worker.run) for worker in (first, second)]
    builds_beside: list[int] = []

    def start_the_other() -> None:
        threads[1].start()
        wait_until(lambda: somebody_waits_for(compiled_steps / ".background" / "lock"))
        builds_beside.append(len(second.builds))

    first.during_build = start_the_other
    threads[0].start()
    threads[0].join(PATIENCE)
    threads[1].join(PATIENCE)

    assert builds_beside == [0]
    assert (len(first.builds), len(second.builds)) == (1, 0 if digest == "d1" else 1)
    assert first.taken == second.taken == [STEPS]
    assert second.states[-1] == COMPILED


def somebody_waits_for(lock: Path) -> bool:
    """As the kernel says it, with "->" before each who waits."""
    inode = f":{lock.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_what_fails_for_good_is_not_built_again() -> None:
    worker = Worker()
    worker.failure = BuildFailed("it cannot be one graph", is_lasting=True)
    assert worker.run().said == [(COMPILING, None), (NOT_COMPILED, "it cannot be one graph")]

    again = Worker().run()

    assert again.builds == []
    [(state, reason)] = again.said
    assert state == NOT_COMPILED
    assert reason is not None
    assert reason.startswith("it cannot be one graph (not tried again while there is ")


def test_what_may_pass_is_tried_by_the_next_worker() -> None:
    worker = Worker()
    worker.failure = BuildFailed("No space left on device", is_lasting=False)
    assert worker.run().states == [COMPILING, NOT_COMPILED]

    assert Worker().run().states == [COMPILING, COMPILED]


def test_what_fails_for_one_archive_or_compiler_is_tried_for_another() -> None:
    worker = Worker(name="d1-weights1-g++12")
    worker.failure = BuildFailed("its compiled steps fail their check", is_lasting=True)
    assert worker.run().states == [COMPILING, NOT_COMPILED]

    assert Worker(name="d1-weights2-g++12").run().states == [COMPILING, COMPILED]


def test_a_build_is_named_by_its_archive_and_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / "MAR-INF" / "RECORD.json").write_text("{}")
    own = name_of_build("d1", tmp_path)
    monkeypatch.setenv("CXX", "no-such-g++")
    of_another_compiler = name_of_build("d1", tmp_path)
    (tmp_path / "MAR-INF" / "RECORD.json").write_text('{"files": {}}')

    assert len({own, of_another_compiler, name_of_build("d1", tmp_path)}) == 3
    assert own.startswith("d1-")


def test_a_build_waits_for_a_worker_that_finds_memory_for_it() -> None:
    worker = Worker()
    worker.why_not_now = "there is not enough memory"
    assert worker.run().said == [(NOT_COMPILED, "there is not enough memory")]
    assert worker.builds == []

    assert Worker().run().states == [COMPILING, COMPILED]


def test_a_build_that_a_signal_ended_twice_is_not_tried_again() -> None:
    for _ in range(2):
        worker = Worker()
        worker.failure = BuildFailed("the compiler was ended by signal 9", is_lasting=False, is_killed=True)
        assert worker.run().states == [COMPILING, NOT_COMPILED]

    [(state, reason)] = Worker().run().said
    assert state == NOT_COMPILED
    assert reason is not None
    assert reason.startswith("2 builds were ended by a signal, as where memory runs out (not tried again while")


def test_a_build_that_went_down_with_its_worker_twice_is_not_tried_again(compiled_steps: Path) -> None:
    for _ in range(2):  # by one kill of the whole service: nobody could tidy up
        with pytest.raises(ServiceKilledError):
            die_in_a_build()
        assert len(list((compiled_steps / ".background" / "scratch").iterdir())) == 1

    worker = Worker().run()

    assert (worker.states, worker.builds) == ([NOT_COMPILED], [])


class ServiceKilledError(BaseException):
    pass


def die_in_a_build() -> None:
    worker = Worker()
    left = Path(os.environ[COMPILED_STEPS_VARIABLE]) / "left"

    def die() -> None:
        shutil.copytree(worker.builds[0], left / worker.builds[0].name)
        raise ServiceKilledError

    worker.during_build = die
    try:
        worker.run()
    finally:  # as it was when the process went
        (left / worker.builds[0].name).rename(worker.builds[0])


def test_a_build_that_was_made_forgets_the_one_that_a_signal_ended(compiled_steps: Path) -> None:
    killed = BuildFailed("the compiler was ended by signal 9", is_lasting=False, is_killed=True)
    for failure in (killed, None, killed):
        worker = Worker()
        worker.failure = failure
        worker.run()
        shutil.rmtree(compiled_steps / "d1", ignore_errors=True)

    assert Worker().run().states == [COMPILING, COMPILED]


def test_a_dying_build_that_still_writes_is_no_hindrance(compiled_steps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remaining = compiled_steps / ".background" / "scratch" / "d1-archive-compiler.1" / "half.so"
    remaining.parent.mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # it writes as fast as this removes

    past = PastBuilds(compiled_steps / ".background", "d1-archive-compiler")
    with past.another() as scratch:
        assert list(scratch.iterdir()) == []


def test_steps_that_are_there_but_cannot_be_loaded_are_made_anew(compiled_steps: Path) -> None:
    (compiled_steps / "d1").mkdir(parents=True)
    (compiled_steps / "d1" / "one_row.so").touch()
    worker = Worker()
    worker.is_broken = True

    assert worker.run().states == [COMPILING, COMPILED]
    assert list((compiled_steps / "d1").iterdir()) == []


def test_steps_are_used_last_when_they_are_taken(compiled_steps: Path) -> None:
    (compiled_steps / "d1").mkdir(parents=True)
    os.utime(compiled_steps / "d1", (1, 1))

    Worker().run()

    assert (compiled_steps / "d1").stat().st_mtime > 1


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (UnsupportedModelError("its logits differ"), "its logits differ"),
        (MemoryError("no more"), "MemoryError('no more')"),
    ],
)
def test_steps_that_the_worker_refuses_are_left_out(refusal: Exception, reason: str) -> None:
    assert Worker(refusal=refusal).run().said == [(COMPILING, None), (NOT_COMPILED, reason)]


def test_steps_that_cannot_be_loaded_are_left_out() -> None:
    assert Worker(steps=None).run().said[-1] == (NOT_COMPILED, "they cannot be loaded: the worker's log says why")


def test_a_directory_that_cannot_be_had_is_no_failure_of_the_worker(compiled_steps: Path) -> None:
    compiled_steps.touch()  # a file

    [(state, _)] = Worker().run().said

    assert state == NOT_COMPILED


def test_a_worker_says_it_in_its_log_and_to_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv(COMPILATIONS_VARIABLE, str(tmp_path))

    reporter("tiny", "1.0")(NOT_COMPILED, "there is no C++ compiler (g++)")

    said = Compilation.read(tmp_path, "tiny", "1.0")
    assert said is not None
    assert (said.state, said.reason) == (NOT_COMPILED, "there is no C++ compiler (g++)")
    assert caplog.messages == ["torchbridge: tiny 1.0 is not compiled: there is no C++ compiler (g++)"]


def test_a_worker_that_cannot_tell_status_serves_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(COMPILATIONS_VARIABLE, str(tmp_path / "file"))

    reporter("tiny", "1.0")(COMPILED, None)


@pytest.mark.parametrize(
    ("settings", "environment", "reason"),
    [
        pytest.param({}, {COMPILE_VARIABLE: "false"}, "switched off: --no-compile", id="by serve"),
        pytest.param({}, {}, "switched off: --no-compile", id="nobody has said so"),
        pytest.param({"compile": False}, {COMPILE_VARIABLE: "true"}, "switched off: compile: false", id="by the model"),
        pytest.param(
            {},
            {COMPILE_VARIABLE: "true", "CXX": "no-such-g++"},
            r"there is no C\+\+ compiler \(no-such-g\+\+\)",
            id="g++",
        ),
    ],
)
def test_a_worker_that_does_not_compile_says_why(
    llama: PreTrainedModel,
    settings: dict[str, object],
    environment: dict[str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(COMPILE_VARIABLE, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert_not_compiled(llama, HandlerSettings(slots=4, **settings), reason)


def test_a_worker_whose_compiled_steps_failed_at_load_says_so(llama: PreTrainedModel) -> None:
    assert_not_compiled(llama, HandlerSettings(slots=4), "fails the worker's check", is_left_out=True)


def test_a_model_with_an_attention_of_its_own_is_not_compiled() -> None:
    assert_not_compiled(make_model("gptj"), HandlerSettings(slots=4), "gptj models have attention of their own")


def assert_not_compiled(
    model: PreTrainedModel, settings: HandlerSettings, reason: str, *, is_left_out: bool = False
) -> None:
    loaded = LoadedModel(model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)
    engine = worker_engine(loaded, settings, None)
    run_ahead = RunAhead(engine)
    said: list[tuple[CompilationState, str | None]] = []

    compile_in_background(
        Path("unpacked"),
        lambda *state: said.append(state),
        loaded=loaded,
        settings=settings,
        engine=engine,
        run_ahead=run_ahead,
        is_left_out=is_left_out,
    )
    run_ahead.close()

    [(state, words)] = said
    assert state == NOT_COMPILED
    assert words is not None
    assert re.search(reason, words)
