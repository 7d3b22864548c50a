"""Compiled steps are installed when they are right, and a worker does without those that are not."""

import _ctypes
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from torch._inductor.runtime.cache_dir_utils import cache_dir
from transformers import MixtralConfig

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.schema import DoneEvent
from handlers import compile_model
from handlers.compiled_steps import CompiledSteps, directory_of_steps
from handlers.self_check import ForwardPassError, check_engine
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import has_compiled_steps, load_packed_model, worker_engine
from tests.handlers.fake_frontend import FakeFrontend, write_record
from tests.handlers.saved_models import save_with_tokenizer
from tests.project import PROJECT

pytestmark = [
    # Inductor's own use of what torch gives up.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
]

TINY = PROJECT / "models" / "tiny"
SLOTS, PREFIX_SLOTS = 4, 1


def save_mixture_of_experts(directory: Path) -> None:
    config = MixtralConfig(
        vocab_size=json.loads((TINY / "config.json").read_text())["vocab_size"],
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=None,
    )
    save_with_tokenizer(directory, config)


# torch/csrc/inductor/aoti_runtime/interface.h
FAILING_LIBRARY = """
extern "C" int AOTInductorModelContainerCreateWithDevice(void**, unsigned long, const char*, const char*) { return 0; }
extern "C" int AOTInductorModelContainerRun(...) { return 1; }
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model whose compiled steps call what the library does not hold: they are made, and fail."""
    directory = tmp_path_factory.mktemp("unpacked")
    save_mixture_of_experts(directory / "model")
    (directory / "model-config.yaml").write_text(
        f"batchSize: {SLOTS}\nhandler:\n  threads: 1\n  prefix_slots: {PREFIX_SLOTS}\n"
    )
    write_record(directory)
    return directory


@pytest.fixture(scope="module")
def compiled_steps(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they would be if nobody had checked them: its own (make soak), or some that fail as they do."""
    if shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler")
    directory = tmp_path_factory.mktemp("compiled_steps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile_model, "_check", lambda *_: None)
        if "TORCHBRIDGE_TEST_EVERY_MODEL_TYPE" not in os.environ:
            patch.setattr(compile_model, "compile_all_steps", lambda *arguments: write_failing_steps(arguments[-1]))
        compile_model.compile_model(archive, directory)
    return directory


def write_failing_steps(directory: Path) -> None:
    for name in ("one_row.so", "more_rows.so"):
        command = ["g++", "-shared", "-fPIC", "-x", "c++", "-o", directory / name, "-"]
        subprocess.run(command, input=FAILING_LIBRARY, text=True, check=True)


def serve(model: Path, directory: Path) -> tuple[FakeFrontend, str]:
    """The worker and its answer to a request."""
    (directory / "model").symlink_to(model)
    frontend = FakeFrontend(directory, slots=SLOTS, prefix_slots=PREFIX_SLOTS)
    client = frontend.send(prompt="Once upon a time", max_length=10, temperature=0)
    frontend.run()
    frontend.handler._run_ahead.close()
    done = client.events[-1]
    assert isinstance(done, DoneEvent)
    return frontend, done.response.text


def test_steps_that_fail_are_not_installed(
    archive: Path, compiled_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HandlerSettings.read(archive / "model-config.yaml")
    loaded = load_packed_model(archive / "model", settings)
    made = directory_of_steps(compiled_steps, loaded, settings)
    with pytest.raises(ForwardPassError, match="the compiled model failed"):
        check_engine(worker_engine(loaded, settings, CompiledSteps(made, loaded.model)), loaded.model)
    monkeypatch.setattr(
        compile_model,
        "compile_all_steps",
        lambda *arguments: shutil.copytree(made, arguments[-1], dirs_exist_ok=True),
    )

    with pytest.raises(UnsupportedModelError, match=r"its compiled steps fail their check: .*compiled model failed"):
        compile_model.compile_model(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_steps_that_cannot_be_loaded_are_made_anew(
    archive: Path, compiled_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [made] = compiled_steps.iterdir()
    left = tmp_path / made.name
    left.mkdir()
    for name in ("one_row.so", "more_rows.so"):
        (left / name).touch()  # as after a loss of power
    monkeypatch.setattr(compile_model, "_check", lambda *_: None)
    builds: list[Path] = []

    def build(*arguments: object) -> None:
        builds.append(Path(str(arguments[-1])))
        shutil.copytree(made, builds[-1], dirs_exist_ok=True)

    monkeypatch.setattr(compile_model, "compile_all_steps", build)

    assert compile_model.compile_model(archive, tmp_path) == left
    assert compile_model.compile_model(archive, tmp_path) == left
    assert len(builds) == 1
    assert (left / "one_row.so").stat().st_size


def test_pieces_that_fail_are_left_out_and_the_rest_is_installed(
    archive: Path,
    compiled_steps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    [made] = compiled_steps.iterdir()
    checked: list[bool] = []

    def build(*arguments: object) -> None:
        shutil.copytree(made, str(arguments[-1]), dirs_exist_ok=True)
        shutil.copy(made / "one_row.so", Path(str(arguments[-1])) / "piece.so")

    def check(steps: CompiledSteps, *_: object) -> None:
        checked.append(steps.has_pieces)
        if steps.has_pieces:
            raise UnsupportedModelError("they differ")

    monkeypatch.setattr(compile_model, "compile_all_steps", build)
    monkeypatch.setattr(compile_model, "_check", check)

    installed = compile_model.compile_model(archive, tmp_path)

    assert checked == [True, False]
    assert {file.name for file in installed.iterdir()} == {"one_row.so", "more_rows.so"}
    assert "pieces of prompts are not compiled: they differ" in caplog.text


def test_what_the_compiler_keeps_goes_with_the_scratch_directory(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Path] = []
    before = os.environ.get("TMPDIR")

    def fail(*_: object) -> None:
        kept.extend([Path(cache_dir()), Path(os.environ["TMPDIR"])])
        raise RuntimeError("no compiler")

    monkeypatch.setattr(compile_model, "compile_all_steps", fail)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(RuntimeError, match="no compiler"):
        compile_model.compile_model(archive, tmp_path / "steps", tmp_path / "scratch")

    assert all(each.is_relative_to(tmp_path / "scratch") for each in kept)
    assert os.environ.get("TMPDIR") == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_worker_runs_without_steps_that_fail(
    archive: Path,
    compiled_steps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    _, own = serve(archive / "model", tmp_path / "without")
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(compiled_steps))

    frontend, text = serve(archive / "model", tmp_path / "with")

    assert text == own
    assert not has_compiled_steps(frontend.handler._engine)
    assert "the compiled steps are left out: mixtral models" in caplog.text


@pytest.mark.parametrize("content", [b"\x7fELF", Path(_ctypes.__file__).read_bytes()], ids=["none", "another one"])
def test_a_worker_runs_without_a_library_that_cannot_be_loaded(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = HandlerSettings(slots=SLOTS, prefix_slots=PREFIX_SLOTS)
    steps = directory_of_steps(tmp_path / "steps", load_packed_model(TINY, settings), settings)
    steps.mkdir(parents=True)
    (steps / "one_row.so").write_bytes(content)
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(tmp_path / "steps"))
    (tmp_path / "worker").mkdir()

    frontend, text = serve(TINY, tmp_path / "worker")

    assert text
    assert not has_compiled_steps(frontend.handler._engine)
    assert "the compiled steps are left out: " in caplog.text
    assert "one_row.so" in caplog.text
