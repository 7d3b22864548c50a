"""Steps compiled in the background, and by `torchbridge compile`: what comes of it is what a worker answers with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.archive_reader import read_probes
from adapter.archives.worker_environment import PASSED_VARIABLE
from adapter.compilation import Compilation, CompilationState
from adapter.handler_section import COMPILED_STEPS_VARIABLE
from adapter.serving.whole_stack import whole_stack
from adapter.versions.running_server import RunningServer
from adapter.versions.status import VersionStatus, server_status
from tests.adapter.commands.called_command import run
from tests.free_ports import write_torchserve_config
from tests.handler_here import check_model_here, run_handlers_here
from tests.processes import processes_of
from tests.progress import without_progress
from tests.project import PROJECT
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
]

TINY = PROJECT / "models" / "tiny"


@dataclass(frozen=True)
class Served:
    """What was seen of a server before its worker took compiled steps, meanwhile and afterwards."""

    url: str
    server: RunningServer
    archive: Path
    compiled_steps: Path
    before: VersionStatus
    afterwards: VersionStatus
    answers: list[str]
    workers: set[int]
    log: str


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first layer of models/tiny: a build takes the longer the more there are."""
    directory = Path(shutil.copytree(TINY, tmp_path_factory.mktemp("model"), dirs_exist_ok=True))
    config, weights = directory / "config.json", directory / "model.safetensors"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 1}))
    kept = {name: each for name, each in load_file(weights).items() if ".layers." not in name or ".layers.0." in name}
    weights.unlink()
    save_file(kept, weights, metadata={"format": "pt"})
    return directory


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The one build for all tests here."""
    directory = tmp_path_factory.mktemp("served")
    archive = build_archive(model, "tiny", "1.0", directory, check=check_model_here)
    steps, run = directory / "steps", directory / "run"
    config = write_torchserve_config(directory / "config.properties")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COMPILED_STEPS_VARIABLE, str(steps))
        patch.setenv(PASSED_VARIABLE, "AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL")  # as in all tests (tests/conftest.py)
        patch.setenv("TORCHBRIDGE_CACHE_MAX_AGE", "0")
        with whole_stack(str(archive), print, port=0, compiles=True, run_directory=run, config=config) as stack:
            server = RunningServer(run)
            [before], workers = server_status(server), workers_of(server)
            answers = [ask(stack.url)]

            def answers_until_it_has_settled() -> bool:
                answers.append(ask(stack.url))
                return has_settled(server)

            wait_until(lambda: hurry_the_build(run) or has_settled(server), PATIENCE_WITH_WORKERS)
            wait_until(lambda: bool(libraries_in(steps)) or has_settled(server), PATIENCE_WITH_WORKERS)
            wait_until(answers_until_it_has_settled)  # it checks them, and takes them between two steps
            answers.append(ask(stack.url))
            [afterwards], workers = server_status(server), workers | workers_of(server)
            # Java writes the log, when it comes to it.
            wait_until(lambda: bool(re.search(r"is (not )?compiled\b", server.worker_log.read_text("utf-8"))))
            log = server.worker_log.read_text("utf-8")
            yield Served(stack.url, server, archive, steps, before, afterwards, answers, workers, log)
    assert processes_of(run) == []


def hurry_the_build(run_directory: Path) -> bool:
    """Gives it the priority of others, where that is allowed: at its own it would not end on a busy machine.

    At first to the process that starts the compiler, which would not come to it. Whether the compiler has it now.
    """
    for process in processes_of(run_directory):
        with suppress(psutil.Error):
            command = process.cmdline()
            if "handlers.build_process" in command or "handlers.compile_model" in command:
                process.nice(0)
            if "handlers.compile_model" in command:
                return True
    return False


def ask(url: str) -> str:
    request = {"prompt": "Once upon a time", "max_length": 60, "temperature": 0}
    text: str = httpx.post(f"{url}/generate", json=request, timeout=PATIENCE).json()["text"]
    return text


def workers_of(server: RunningServer) -> set[int]:
    return {worker.pid for description in server.management.describe("tiny") for worker in description.workers}


def has_settled(server: RunningServer) -> bool:
    compilation = Compilation.read(server.files.compilations, "tiny", "1.0")
    return compilation is not None and compilation.is_settled


def libraries_in(compiled_steps: Path) -> list[Path]:
    """The directories of libraries."""
    return [path for path in compiled_steps.glob("*") if path.name != ".background"]


def run_compile(archive: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("torchbridge")), "compile", str(archive)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_server_compiles_while_it_answers_and_no_answer_changes(served: Served) -> None:
    assert served.before.compilation is not None
    assert not served.before.compilation.is_settled
    assert served.afterwards.compilation is not None
    assert served.afterwards.compilation.state == CompilationState.COMPILED, served.afterwards.compilation.reason
    assert len(served.workers) == 1
    assert set(served.answers) == {served.answers[0]}
    assert served.log.count("torchbridge: tiny 1.0 is compiling\n") == 1
    assert served.log.count("torchbridge: tiny 1.0 is compiled\n") == 1


def test_a_build_leaves_the_libraries_and_nothing_else(served: Served) -> None:
    [directory] = libraries_in(served.compiled_steps)
    assert {path.name for path in directory.iterdir()} == {"one_row.so", "more_rows.so", "piece.so"}
    assert [*(served.compiled_steps / ".background").rglob("*")] == [
        served.compiled_steps / ".background" / "lock",
        served.compiled_steps / ".background" / "scratch",
    ]


def test_what_is_compiled_is_not_compiled_again_for_an_archive_of_the_same_shape(
    served: Served, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(served.compiled_steps))
    [directory] = libraries_in(served.compiled_steps)
    libraries = {path.name: path.stat().st_ino for path in directory.iterdir()}

    result = run_compile(build_archive(model, "another", "2.0", tmp_path))

    assert (result.returncode, without_progress(result.stderr), result.stdout) == (0, "", f"{directory}\n")
    assert {path.name: path.stat().st_ino for path in directory.iterdir()} == libraries


def test_a_shape_that_cannot_be_compiled_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled_steps = tmp_path / "steps"
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(compiled_steps))
    config = yaml.safe_load(DEFAULT_MODEL_CONFIG.read_text(encoding="utf-8"))
    config["batchSize"], config["handler"]["prefix_slots"] = 1, 1
    file = tmp_path / "two_rows.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    archive = build_archive(TINY, "tiny", "1.0", tmp_path, file)

    run_handlers_here(monkeypatch)

    assert run(monkeypatch, "compile", str(archive)) == 1

    reason = "a compiled step takes 3 slots and prefix_slots, not 2"
    assert without_progress(capsys.readouterr().err) == f"torchbridge: {archive} cannot be compiled: {reason}\n"
    assert not compiled_steps.exists()


def test_a_worker_answers_with_what_was_compiled_as_the_model_was_recorded_to(served: Served) -> None:
    """The next one, which finds it when it loads."""
    [worker] = workers_of(served.server)
    os.kill(worker, signal.SIGKILL)
    wait_until(
        lambda: " threads, compiled steps\n" in served.server.worker_log.read_text("utf-8"), PATIENCE_WITH_WORKERS
    )
    wait_until(lambda: httpx.get(f"{served.url}/readyz").is_success)
    probes = read_probes(served.archive)
    assert probes
    recorded = [probe for probe in probes.probes if probe.answer_tokens]
    assert recorded

    for probe in recorded:
        request = {"prompt": probe.prompt, "max_length": len(probe.answer_tokens), "temperature": 0}
        answer = httpx.post(f"{served.url}/generate", json=request, timeout=PATIENCE).json()
        assert (answer["text"], answer["finish_reason"]) == (probe.answer, probe.finish_reason)
