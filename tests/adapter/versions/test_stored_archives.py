"""What `torchbridge list` shows of a store."""

from pathlib import Path

import pytest

from adapter.versions.errors import VersionError
from adapter.versions.server_files import ServerFiles
from adapter.versions.stored_archives import StoredArchive, as_rows, stored_archives
from tests.adapter.versions.fake_server import FakeServer, make_archive


def seen(files: ServerFiles) -> list[tuple[str, bool, bool]]:
    return [(each.archive, each.is_deployed, each.is_default) for each in stored_archives(files)]


def test_each_archive_is_shown_with_what_it_is_served_as(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    server.put_into_store("3.0")
    server.put_into_store("2.0", "other")
    assert seen(server.files) == [
        ("other-2.0.mar", False, False),
        ("tiny-1.0.mar", True, False),
        ("tiny-2.0.mar", True, True),
        ("tiny-3.0.mar", False, False),
    ]
    assert [row[3] for row in as_rows(stored_archives(server.files))] == ["served as", "", "deployed", "default", ""]


def test_they_are_in_the_order_of_their_versions(server: FakeServer) -> None:
    server.serve("10.0", "2.0", "11.0")
    server.put_into_store("9.0", "other")
    assert [(each.model, each.version) for each in stored_archives(server.files)] == [
        ("other", "9.0"),
        ("tiny", "2.0"),
        ("tiny", "10.0"),
        ("tiny", "11.0"),
    ]


def test_it_tells_what_an_archive_is(server: FakeServer) -> None:
    server.serve("1.0")
    (archive,) = stored_archives(server.files)
    path = server.files.store / "tiny-1.0.mar"
    assert archive == StoredArchive(
        archive="tiny-1.0.mar",
        model="tiny",
        version="1.0",
        size=path.stat().st_size,
        digest=server.state.models["tiny"].versions["1.0"].digest,
        is_deployed=True,
        is_default=True,
    )
    _, (_, _, digest, _) = as_rows([archive])
    assert digest == archive.digest[:12]


def test_a_server_need_not_ever_have_run(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    assert stored_archives(files) == []
    make_archive(files.store, "1.0")
    assert seen(files) == [("tiny-1.0.mar", False, False)]


def test_what_nobody_can_serve_is_not_shown(server: FakeServer) -> None:
    (server.files.store / "foreign.mar").write_bytes(b"no archive")
    (server.files.store / "tiny-1.0.mar.sig").write_bytes(b"signature")
    server.store.stage(make_archive(server.files.run_directory, "1.0"), "tiny-1.0.mar")
    assert seen(server.files) == []


def test_of_a_damaged_record_it_says_so(server: FakeServer) -> None:
    server.files.state.write_text("{")
    with pytest.raises(VersionError, match="is damaged"):
        stored_archives(server.files)
