"""`serve --watch` on a server in memory: when a file counts, and what becomes of one that cannot be served."""

from pathlib import Path

import pytest

from adapter.versions import deployment, follower
from adapter.versions.errors import ChangeRefused
from adapter.versions.follow_record import FollowRecord
from adapter.versions.followed_file import FollowedFile
from adapter.versions.follower import Follower
from adapter.versions.lifecycle import promote
from adapter.versions.reconcile_loop import ReconcileLoop
from tests.adapter.versions.fake_server import Clock, FakeServer, let_versions_answer_as_recorded, make_archive


def models_yaml(directory: Path, *versions: str, default: str) -> str:
    lines = [f'      "{version}": {{archive: {make_archive(directory, version)}}}' for version in versions]
    return "\n".join(["models:", "  tiny:", f'    default: "{default}"', "    versions:", *lines, ""])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "models.yaml"
    file.write_text(models_yaml(tmp_path / "archives", "1.0", default="1.0"))
    return file


@pytest.fixture
def both(tmp_path: Path) -> str:
    return models_yaml(tmp_path / "archives", "1.0", "2.0", default="2.0")


@pytest.fixture
def loop(server: FakeServer, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> ReconcileLoop:
    let_versions_answer_as_recorded(monkeypatch)
    monkeypatch.setattr(follower, "time", clock)
    server.serve("1.0")
    followed = FollowedFile(file)
    followed.read()
    return ReconcileLoop(lambda: server, Follower(followed, server.files))


def reason(server: FakeServer) -> str | None:
    record = FollowRecord.read(server.files.followed)
    assert record is not None
    return record.reason


def look(loop: ReconcileLoop, times: int = 3) -> None:
    for _ in range(times):
        loop.look()


def test_a_file_that_stays_changes_nothing(loop: ReconcileLoop, server: FakeServer) -> None:
    look(loop)
    assert (server.management.changes, reason(server)) == ([], None)


def test_what_a_command_has_changed_since_is_said_until_the_file_changes(
    loop: ReconcileLoop, server: FakeServer, file: Path, both: str
) -> None:
    def words() -> str:
        record = FollowRecord.read(server.files.followed)
        assert record is not None
        return record.in_words(server.state)

    file.write_text(both)
    look(loop)
    assert words().endswith("and serves what it says.")
    promote(server, "tiny", "1.0")
    look(loop)
    assert "a command or a canary has changed what is served since" in words()
    file.write_text(f"{both}\n")
    look(loop)
    assert words().endswith("and serves what it says.")


def test_one_that_is_renamed_into_its_place_is_served(
    loop: ReconcileLoop, server: FakeServer, file: Path, both: str
) -> None:
    new = file.with_suffix(".new")
    new.write_text(both)
    new.replace(file)
    look(loop)
    assert (server.management.defaults["tiny"], server.registered(), reason(server)) == ("2.0", ["1.0", "2.0"], None)


def test_a_link_that_is_changed_as_for_a_config_map_is_served(
    server: FakeServer, tmp_path: Path, both: str, loop: ReconcileLoop, file: Path
) -> None:
    del loop  # whose file is no link
    for name, content in (("first", file.read_text()), ("second", both)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.yaml").write_text(content)
    data, linked = tmp_path / "..data", tmp_path / "linked.yaml"
    data.symlink_to("first")
    linked.symlink_to("..data/models.yaml")
    followed = FollowedFile(linked)
    followed.read()
    loop = ReconcileLoop(lambda: server, Follower(followed, server.files))
    (tmp_path / "..new").symlink_to("second")
    (tmp_path / "..new").replace(data)
    look(loop)
    assert server.management.defaults["tiny"] == "2.0"


def test_what_is_still_being_written_does_not_count(
    loop: ReconcileLoop, server: FakeServer, file: Path, both: str
) -> None:
    """Each of these beginnings is valid, or nearly, and each would take something away."""
    server.serve("2.0")
    file.write_text(both)
    look(loop)
    for length in range(1, len(both), 7):
        file.write_text(both[:length])
        look(loop, 1)
    file.write_text(both)
    look(loop)
    assert (server.management.changes, server.registered(), reason(server)) == ([], ["1.0", "2.0"], None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "models.yaml: file: "),
        ("models: [", "it is not YAML"),
        ("models: {tiny: {default: 1.0}}", "Versions are texts"),
        ('models: {tiny: {default: "2.0", versions: {"2.0": {archive: nowhere.mar}}}}', "nowhere.mar"),
    ],
    ids=["empty", "not YAML", "not valid", "an archive that is not there"],
)
def test_what_cannot_be_served_keeps_what_is(
    loop: ReconcileLoop, server: FakeServer, file: Path, both: str, *, content: str, said: str
) -> None:
    file.write_text(content)
    look(loop)
    assert (server.management.changes, server.registered()) == ([], ["1.0"])
    assert said in (reason(server) or "")
    file.write_text(both)
    look(loop)
    assert (server.management.defaults["tiny"], reason(server)) == ("2.0", None)


def test_a_file_that_is_gone_keeps_what_is_and_is_said_once(
    loop: ReconcileLoop, server: FakeServer, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = file.read_text()
    file.unlink()
    look(loop)
    assert reason(server) == "it cannot be read (No such file or directory)."
    assert len([line for line in caplog.messages if "cannot be read" in line]) == 1
    file.write_text(content)
    look(loop)
    assert (server.management.changes, reason(server)) == ([], None)


def test_what_failed_is_tried_again_but_not_at_each_look(
    loop: ReconcileLoop, server: FakeServer, file: Path, both: str, clock: Clock
) -> None:
    tries: list[None] = []

    async def fail(*_: object) -> None:
        tries.append(None)
        raise ChangeRefused("The registry is away.")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployment, "_ask", fail)
        file.write_text(both)
        look(loop, 10)
        assert len(tries) == 1
        clock.sleep(30)
        look(loop, 10)
        assert len(tries) == 2
    assert "The registry is away." in (reason(server) or "")
    clock.sleep(60)
    look(loop)
    assert (server.management.defaults["tiny"], reason(server)) == ("2.0", None)


def test_it_waits_for_a_command(loop: ReconcileLoop, server: FakeServer, file: Path, both: str) -> None:
    file.write_text(both)
    with server.locked("deploy"):
        look(loop)
    assert server.management.changes == []
    look(loop)
    assert server.management.defaults["tiny"] == "2.0"
