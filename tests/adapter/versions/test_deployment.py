"""A deployment over a server in memory: what is asked of the model is left to the end-to-end tests."""

from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.verification import VerificationError
from adapter.compilation import Compilation, CompilationState
from adapter.errors import ModelNotReady, UpstreamUnavailable
from adapter.torchserve.probing import ProbeMismatch
from adapter.versions import deployment
from adapter.versions.changes import Report
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.errors import ChangeRefused, LoadFailed
from adapter.versions.lifecycle import scale
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import put, repack
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines, let_versions_answer_as_recorded, make_archive


@pytest.fixture(autouse=True)
def served(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1.0, and every version answers as it should."""
    server.serve("1.0")
    let_versions_answer_as_recorded(monkeypatch)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release", "2.0")


def expect_untouched(server: FakeServer) -> None:
    assert server.registered() == server.recorded() == ["1.0"]
    assert server.management.default_version("tiny") == server.state.models["tiny"].default == "1.0"
    assert server.stored() == ["tiny-1.0.mar"]
    assert server.journal.unfinished() is None


def test_a_version_that_comes_up_is_the_default(server: FakeServer, archive: Path, lines: Lines) -> None:
    record = deploy(server, archive, DeploymentOptions(), lines)
    model = server.state.models["tiny"]
    assert (record.version, model.default, model.previous) == ("2.0", "2.0", ("1.0",))
    assert model.versions["2.0"].digest == record.digest
    assert server.management.changes == [("register", "tiny-2.0.mar"), ("set_default", "tiny", "2.0")]
    assert server.stored() == ["tiny-1.0.mar", "tiny-2.0.mar"]
    assert server.journal.unfinished() is None


def test_beside_the_default_it_changes_nothing_for_anybody(server: FakeServer, archive: Path, lines: Lines) -> None:
    deploy(server, archive, DeploymentOptions(promotes=False), lines)
    assert server.management.changes == [("register", "tiny-2.0.mar")]
    assert (server.state.models["tiny"].default, server.recorded()) == ("1.0", ["1.0", "2.0"])


def test_the_gateway_knows_a_version_that_was_deployed_loaded_or_unloaded(
    server: FakeServer, archive: Path, lines: Lines
) -> None:
    deploy(server, archive, DeploymentOptions(promotes=False), lines)
    seen = [server.gateway.known_workers("tiny", "2.0")]
    for workers in (0, 1):
        scale(server, "tiny", "2.0", workers, timeout=1, report=lines)
        seen.append(server.gateway.known_workers("tiny", "2.0"))
    assert seen == [1, 0, 1]


@pytest.mark.parametrize(("keep", "kept"), [(0, ["3.0"]), (1, ["2.0", "3.0"]), (2, ["1.0", "2.0", "3.0"])])
def test_as_many_of_before_are_kept_as_was_said(
    server: FakeServer, tmp_path: Path, lines: Lines, keep: int, kept: list[str]
) -> None:
    for version in ("2.0", "3.0"):
        deploy(server, make_archive(tmp_path / "release", version), DeploymentOptions(keep=keep), lines)
    assert server.registered() == server.recorded() == kept
    assert server.stored() == [f"tiny-{version}.mar" for version in kept]


def test_what_ran_on_the_version_before_is_waited_for(
    server: FakeServer, archive: Path, lines: Lines, clock: Clock
) -> None:
    live = server.gateway.live["tiny", "1.0"] = [clock.now - 5]
    began = clock.now
    clock.after(30, live.clear)
    deploy(server, archive, DeploymentOptions(keep=0), lines)
    assert clock.now >= began + 30
    assert server.registered() == ["2.0"]


def test_what_does_not_end_goes_on_and_keeps_its_version(server: FakeServer, archive: Path, lines: Lines) -> None:
    server.gateway.live["tiny", "1.0"] = [0.0]
    deploy(server, archive, DeploymentOptions(keep=0, drain_timeout=5), lines)
    assert server.registered() == server.recorded() == ["1.0", "2.0"]
    assert "requests still run on 1.0 after 5 seconds: they go on" in lines
    assert server.journal.unfinished() is None


@pytest.mark.parametrize("error", [ProbeMismatch("another answer"), KeyboardInterrupt()], ids=["mismatch", "Ctrl-C"])
def test_a_version_that_answers_wrongly_leaves_nothing(
    server: FakeServer, archive: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(deployment, "_ask", fail)
    with pytest.raises(type(error)):
        deploy(server, archive, DeploymentOptions(), lines)
    expect_untouched(server)


def test_a_version_that_does_not_load_leaves_nothing(server: FakeServer, archive: Path, lines: Lines) -> None:
    server.management.starts_ready = False
    with pytest.raises(LoadFailed, match=r"Still loading tiny 2\.0 after 7 s \(--load-timeout\)"):
        deploy(server, archive, DeploymentOptions(load_timeout=7), lines)
    expect_untouched(server)


def test_an_archive_that_is_refused_is_never_registered(server: FakeServer, archive: Path, lines: Lines) -> None:
    repack(archive, put("text_generation.py", b"raise SystemExit\n"))
    with pytest.raises(VerificationError):
        deploy(server, archive, DeploymentOptions(), lines)
    assert server.management.changes == []
    expect_untouched(server)


def test_an_archive_without_probes_is_never_registered(server: FakeServer, tmp_path: Path, lines: Lines) -> None:
    archive = build_archive(write_model(tmp_path / "model"), "tiny", "2.0", tmp_path)
    with pytest.raises(ChangeRefused, match="holds no probes"):
        deploy(server, archive, DeploymentOptions(), lines)
    assert server.management.changes == []
    expect_untouched(server)


def test_one_version_has_one_content(server: FakeServer, tmp_path: Path, lines: Lines) -> None:
    other = make_archive(tmp_path / "release", "1.0", weight_bytes=48)
    with pytest.raises(ChangeRefused, match=r"tiny 1\.0 is deployed with another content .*choose another version"):
        deploy(server, other, DeploymentOptions(), lines)
    expect_untouched(server)


def test_what_others_registered_is_left_alone(server: FakeServer, archive: Path, lines: Lines) -> None:
    server.management.register(server.put_into_store("2.0").archive)
    with pytest.raises(ChangeRefused, match="that torchbridge did not deploy"):
        deploy(server, archive, DeploymentOptions(), lines)
    assert server.registered() == ["1.0", "2.0"]


def test_without_a_gateway_nothing_is_begun(
    server: FakeServer, archive: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise UpstreamUnavailable("no")

    monkeypatch.setattr(server.gateway, "traffic", fail)
    with pytest.raises(UpstreamUnavailable):
        deploy(server, archive, DeploymentOptions(), lines)
    assert not server.files.journal.exists()


def test_what_is_deployed_already_is_only_promoted(server: FakeServer, archive: Path, lines: Lines) -> None:
    deploy(server, archive, DeploymentOptions(promotes=False), lines)
    server.management.changes.clear()
    for _ in range(2):
        deploy(server, archive, DeploymentOptions(), lines)
        assert server.management.changes == [("set_default", "tiny", "2.0")]
    assert server.state.models["tiny"].default == "2.0"


def test_what_is_deployed_but_unloaded_does_not_become_the_default(
    server: FakeServer, archive: Path, lines: Lines
) -> None:
    deploy(server, archive, DeploymentOptions(promotes=False), lines)
    scale(server, "tiny", "2.0", 0, timeout=1, report=lines)
    with pytest.raises(ModelNotReady, match=r"2\.0 is unloaded: torchbridge scale 2\.0 --workers 1"):
        deploy(server, archive, DeploymentOptions(), lines)
    assert server.management.default_version("tiny") == server.state.models["tiny"].default == "1.0"
    assert server.journal.unfinished() is None


def test_two_versions_never_share_a_file(server: FakeServer, tmp_path: Path, lines: Lines) -> None:
    server.serve("2", model="tiny-1")
    archive = make_archive(tmp_path / "release", "1-2")
    assert archive.name == "tiny-1-2.mar"
    with pytest.raises(ChangeRefused, match=r"tiny-1-2\.mar is the file of tiny-1 2 here"):
        deploy(server, archive, DeploymentOptions(), lines)
    assert server.registered("tiny-1") == ["2"]


@pytest.mark.parametrize("waits", [True, False])
def test_the_switch_waits_for_compiled_steps_where_it_is_told_to(
    server: FakeServer, archive: Path, lines: Lines, clock: Clock, *, waits: bool
) -> None:
    directory = server.files.compilations
    defaults: list[str] = []

    def finish() -> None:
        defaults.append(server.management.default_version("tiny"))
        Compilation(state=CompilationState.COMPILED).write(directory, "tiny", "2.0")

    clock.after(600, finish)

    options = DeploymentOptions(waits_for_compilation=waits)
    deploy(server, archive, options, compiling_once_loaded(server, lines))

    assert server.management.default_version("tiny") == "2.0"
    assert defaults == (["1.0"] if waits else [])


@pytest.mark.usefixtures("clock")
def test_a_version_that_is_not_compiled_in_time_is_deployed_all_the_same(
    server: FakeServer, archive: Path, lines: Lines
) -> None:
    deploy(server, archive, DeploymentOptions(waits_for_compilation=True), compiling_once_loaded(server, lines))

    assert any(line.startswith("Still compiling") for line in lines)
    assert server.management.default_version("tiny") == "2.0"


def test_what_an_earlier_archive_of_the_version_said_is_forgotten(
    server: FakeServer, archive: Path, lines: Lines
) -> None:
    Compilation(state=CompilationState.COMPILED).write(server.files.compilations, "tiny", "2.0")

    deploy(server, archive, DeploymentOptions(), lines)

    assert Compilation.read(server.files.compilations, "tiny", "2.0") is None


def compiling_once_loaded(server: FakeServer, lines: Lines) -> Report:
    def report(line: str) -> None:
        lines(line)
        if line == "loading tiny 2.0":
            Compilation(state=CompilationState.COMPILING).write(server.files.compilations, "tiny", "2.0")

    return report
