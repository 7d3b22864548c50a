"""What a server starts with: a model that is named, or what it has served before."""

import contextlib
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.durable.private_directory import NotPrivate
from adapter.serving import whole_stack
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.run_directory import RunDirectory, RunDirectoryError
from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from adapter.versions.errors import ChangeRefused, ServerBusy, VersionError
from adapter.versions.model_store import ModelStore
from adapter.versions.restoration import alone
from adapter.versions.server_files import ServerFiles
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import damage
from tests.adapter.served_story import serve_story


def test_an_archive_is_served_as_it_is_and_under_the_name_that_it_holds(
    tmp_path: Path, served: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    default_models: list[str | None] = []

    def noting_server(settings: Settings) -> GatewayServer:
        default_models.append(settings.default_model)
        return GatewayServer(settings)

    monkeypatch.setattr(whole_stack, "GatewayServer", noting_server)
    archive = build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path)
    renamed = archive.rename(tmp_path / "renamed.mar")

    run = tmp_path / "run"
    run.mkdir()
    with whole_stack.whole_stack(str(renamed), lambda _: None, port=0, run_directory=run):
        pass

    assert (served, default_models) == ([run / "model_store" / "story-2.0.mar"], ["story"])
    assert served[0].read_bytes() == renamed.read_bytes()


def test_without_a_model_it_serves_what_commands_have_made_of_it(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=True)
    with whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert served == [archive]


def test_a_server_that_is_refused_touches_nothing_of_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ServerFiles(tmp_path / "run")
    archive = build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path)
    alone(archive, files, None).write(files.state)
    staged = ModelStore(files.store).stage(archive, "story-3.0.mar")  # a deploy is at it
    before = files.state.read_bytes(), (files.store / archive.name).read_bytes()
    other = build_archive(write_model(tmp_path / "model", weight_bytes=48), "story", "2.0", tmp_path / "other")
    monkeypatch.setattr(whole_stack, "TorchServeProcess", TorchServeProcess)
    with (
        RunDirectory(files.run_directory).lock(),
        pytest.raises(StartFailed, match="Another TorchServe runs in"),
        whole_stack.whole_stack(str(other), lambda _: None, port=0, run_directory=files.run_directory),
    ):
        pass
    assert (files.state.read_bytes(), (files.store / archive.name).read_bytes()) == before
    assert staged.exists()


def test_a_server_touches_its_store_under_both_locks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the directory, which other servers want, and of the versions, which commands of a lost server still have."""
    files = ServerFiles(tmp_path)
    serve_story(files, is_changed=True)
    held: list[str] = []

    def look(*_: object) -> None:
        with contextlib.suppress(RunDirectoryError), RunDirectory(tmp_path).lock():
            held.append("the directory is free")
        with contextlib.suppress(ServerBusy), files.locked("another"):
            held.append("the versions are free")
        raise Looked

    monkeypatch.setattr(whole_stack, "TorchServeProcess", TorchServeProcess)
    monkeypatch.setattr(whole_stack, "verify_recorded", look)
    with pytest.raises(Looked), whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        pass
    assert held == []


class Looked(Exception): ...


def test_what_it_had_chosen_itself_is_packed_anew(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    serve_story(files, is_changed=False)
    with whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert [archive.name for archive in served] == ["tiny-1.0.mar"]


def test_what_was_damaged_in_the_store_is_packed_anew(tmp_path: Path, served: list[Path]) -> None:
    model = write_model(tmp_path / "story", weight_bytes=48)
    with whole_stack.whole_stack(str(model), lambda _: None, port=0, run_directory=tmp_path):
        pass
    [archive] = served
    content = archive.read_bytes()
    damage(archive)
    with whole_stack.whole_stack(str(model), lambda _: None, port=0, run_directory=tmp_path):
        pass
    assert archive.read_bytes() == content


def test_a_recorded_archive_that_is_gone_is_said(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=True)
    archive.unlink()
    with (
        pytest.raises(VersionError, match=r"story-2\.0\.mar is missing"),
        whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path),
    ):
        pass
    assert served == []


def test_into_a_directory_that_others_may_write_nothing_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with (
        pytest.raises(NotPrivate, match="Other users may write"),
        whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_directory_whose_name_cannot_be_a_models_is_refused_with_what_to_do(tmp_path: Path) -> None:
    model = write_model(tmp_path / "my model")
    with (
        pytest.raises(ChangeRefused, match=r"served as 'my model', .* torchbridge pack --name"),
        whole_stack.whole_stack(str(model), lambda _: None, port=0, run_directory=tmp_path / "run"),
    ):
        pass
