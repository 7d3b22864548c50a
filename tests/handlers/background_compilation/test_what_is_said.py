"""What a worker says of its compiled steps, and why it has none."""

import re
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from adapter.compilation import COMPILATIONS_VARIABLE, COMPILE_VARIABLE, Compilation, CompilationState
from handlers.background_compilation import compile_in_background, reporter
from handlers.model_loading import LoadedModel
from handlers.run_ahead import RunAhead
from handlers.settings import HandlerSettings
from handlers.worker_engine import worker_engine
from tests.handlers.background_compilation.compiling_worker import COMPILED, NOT_COMPILED
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH, make_model


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
        pytest.param({"plain": True}, {COMPILE_VARIABLE: "true"}, "switched off: plain: true", id="a plain model"),
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
