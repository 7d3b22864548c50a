"""Which builds that have failed are tried again."""

import os
import shutil
from pathlib import Path

import pytest

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.build_process import BuildFailed
from handlers.past_builds import PastBuilds, name_of_build
from tests.handlers.background_compilation.compiling_worker import COMPILED, COMPILING, NOT_COMPILED, Worker


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
    with past.new_build() as scratch:
        assert list(scratch.iterdir()) == []
