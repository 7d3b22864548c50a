"""What a server starts with, and what it makes of what was left."""

from pathlib import Path

import pytest

from adapter.errors import UpstreamUnavailable
from adapter.versions.errors import VersionError
from adapter.versions.journal import Journal, Operation
from adapter.versions.lifecycle import retire
from adapter.versions.restoration import alone, begin_anew, default_archives, recorded_state, restore_others
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines, make_archive

RETIREMENT = Operation(kind="retire", model="tiny", version="1.0", archive="tiny-1.0.mar")


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    return ServerFiles(tmp_path)


def test_an_archive_lies_in_the_store_under_the_name_that_it_holds(files: ServerFiles, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "elsewhere", "1.0").rename(tmp_path / "renamed.mar")
    served = alone(archive, files, None).models["tiny"].versions["1.0"]
    installed = files.store / "tiny-1.0.mar"
    assert (served.archive, installed.read_bytes()) == (installed.name, archive.read_bytes())
    assert alone(installed, files, None).models["tiny"].versions["1.0"].sha256 == served.sha256


def test_only_what_commands_have_made_of_a_server_is_served_again(files: ServerFiles, tmp_path: Path) -> None:
    assert recorded_state(files) is None
    state = alone(make_archive(tmp_path / "elsewhere", "1.0"), files, None)
    state.write(files.state)
    assert recorded_state(files) is None
    changed = state.model_copy(update={"is_changed": True})
    changed.write(files.state)
    assert recorded_state(files) == changed


def test_torchserve_is_started_with_the_defaults_alone(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    assert [path.name for path in default_archives(server.state, server.files)] == ["tiny-2.0.mar"]


def test_a_default_that_is_gone_from_the_store_is_said(server: FakeServer) -> None:
    server.serve("1.0")
    server.store.remove("tiny-1.0.mar")
    with pytest.raises(VersionError, match=r"tiny-1\.0\.mar is missing"):
        default_archives(server.state, server.files)


def test_what_was_begun_on_another_state_is_over_when_a_server_starts(files: ServerFiles) -> None:
    journal = Journal(files.journal)
    journal.begin(RETIREMENT)
    begin_anew(ServerState(), files, None)
    assert journal.unfinished() is None


def test_what_was_begun_on_the_same_state_is_still_to_be_ended(files: ServerFiles) -> None:
    ServerState().write(files.state)
    journal = Journal(files.journal)
    journal.begin(RETIREMENT)
    begin_anew(ServerState(), files, None)
    assert journal.unfinished() is not None


@pytest.fixture
def restored(server: FakeServer) -> FakeServer:
    """With tiny 1.0 and 2.0, the default, of which a TorchServe that was started again has the default alone."""
    server.serve("1.0", "2.0")
    server.management.unregister("tiny", "1.0")
    return server


def test_what_was_deployed_beside_the_default_is_loaded_again(restored: FakeServer, lines: Lines) -> None:
    restore_others(lambda: restored, lines)
    assert restored.registered() == ["1.0", "2.0"]


@pytest.mark.parametrize("stumbles", [False, True])
def test_what_was_unloaded_is_unloaded_again(restored: FakeServer, lines: Lines, *, stumbles: bool) -> None:
    known = restored.state.models["tiny"]
    unloaded = known.versions["1.0"].model_copy(update={"workers": 0})
    restored.save(restored.state.with_model("tiny", known.with_version("1.0", unloaded)))
    restored.management.stumbles = stumbles
    restore_others(lambda: restored, lines)
    assert restored.management.models["tiny"]["1.0"] == []
    assert not any("left out" in line for line in lines)


def test_what_does_not_load_any_more_is_left_out_and_the_default_goes_on(restored: FakeServer, lines: Lines) -> None:
    restored.management.starts_ready = False
    restore_others(lambda: restored, lines)
    assert (restored.registered(), restored.recorded()) == (["2.0"], ["1.0", "2.0"])
    assert any(line.startswith("tiny 1.0 is left out: Still loading tiny 1.0") for line in lines)


def refuse(*_: object) -> None:
    raise UpstreamUnavailable("TorchServe does not answer. Is it running?")


def test_a_torchserve_that_ends_meanwhile_does_not_end_the_server(
    restored: FakeServer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restored.management, "register", refuse)
    monkeypatch.setattr(restored.management, "unregister", refuse)
    restore_others(lambda: restored, lines)
    assert "tiny 1.0 is left out: TorchServe does not answer. Is it running?" in lines


def test_what_was_half_unpacked_where_a_version_does_not_load_is_deleted(restored: FakeServer, lines: Lines) -> None:
    half = restored.files.unpacked / "models1.download"
    half.mkdir(parents=True)
    restored.management.starts_ready = False
    restore_others(lambda: restored, lines)
    assert not half.exists()


def test_no_other_version_becomes_the_default_where_that_does_not_load(restored: FakeServer, lines: Lines) -> None:
    restored.management.unregister("tiny", "2.0")
    restored.management.starts_ready = False
    restore_others(lambda: restored, lines)
    assert restored.registered() == []
    assert "tiny 1.0 is left out: 2.0, the default version, is not loaded." in lines
    restored.management.starts_ready = True
    restore_others(lambda: restored, lines)
    assert (restored.registered(), restored.management.default_version("tiny")) == (["1.0", "2.0"], "2.0")


def test_a_version_that_does_not_load_is_retired_while_it_is_tried(
    restored: FakeServer, clock: Clock, lines: Lines
) -> None:
    def retire_it() -> None:
        with restored.locked("retire 1.0"):
            retire(restored, "tiny", "1.0", timeout=1)

    restored.management.starts_ready = False
    clock.after(5, retire_it)
    restore_others(lambda: restored, lines)
    assert (restored.registered(), restored.recorded()) == (["2.0"], ["2.0"])
    assert lines == ["loading tiny 1.0"]
