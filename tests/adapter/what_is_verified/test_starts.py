"""What a server verifies when it starts: what it packs, what its record has, and what a restart finds."""

from pathlib import Path

import pytest

from adapter.archives.verification import VerificationError
from adapter.versions.errors import ChangeRefused, VersionError
from adapter.versions.restoration import alone, restore_others
from tests.adapter.archives.repacking import repack
from tests.adapter.versions.fake_server import FakeServer, Lines, make_archive
from tests.adapter.what_is_verified.loading_commands import FOREIGN_CODE, sign, start


def test_what_is_packed_here_cannot_be_signed_and_a_key_refuses_it(
    server: FakeServer, tmp_path: Path, public: Path
) -> None:
    server.files.state.unlink()  # there is nothing that was served before
    for model in (str(tmp_path), None):
        with pytest.raises(ChangeRefused, match="would be packed here, and so is not signed with"):
            start(server, model, public)


def recorded(server: FakeServer, archive: Path, key: Path | None) -> Path:
    """The server's copy of an archive that was verified, and served when the server ended."""
    alone(archive, server.files, key).model_copy(update={"is_changed": True}).write(server.files.state)
    return server.files.store / archive.name


def test_a_start_from_the_record_takes_the_files_that_were_verified_whoever_vouched_for_them(
    server: FakeServer, archive: Path, keys: Path, public: Path
) -> None:
    repack(archive, FOREIGN_CODE)
    sign(archive, keys)
    stored = recorded(server, archive, public)
    assert start(server, None, None) == [stored]
    assert start(server, None, public) == [stored]


def test_a_start_from_the_record_refuses_another_file(server: FakeServer, archive: Path, tmp_path: Path) -> None:
    stored = recorded(server, archive, None)
    make_archive(tmp_path / "other", "2.0", weight_bytes=48).replace(stored)
    with pytest.raises(VersionError, match=r"tiny-2\.0\.mar is not the file that was verified \(SHA-256 "):
        start(server, None, None)


@pytest.mark.parametrize(("signer", "reason"), [(None, "it is not signed"), ("other", "signed with another key")])
def test_a_start_from_the_record_with_a_key_refuses_what_it_does_not_vouch_for(
    server: FakeServer, archive: Path, keys: Path, public: Path, *, signer: str | None, reason: str
) -> None:
    if signer:
        sign(archive, keys, signer)
    recorded(server, archive, None)
    with pytest.raises(VerificationError, match=reason):
        start(server, None, public)


def test_a_restart_leaves_out_a_version_whose_file_is_another_by_now(
    server: FakeServer, tmp_path: Path, lines: Lines
) -> None:
    server.serve("2.0", "3.0")
    make_archive(tmp_path / "other", "1.0", weight_bytes=48).replace(server.store.path("tiny-1.0.mar"))
    for version in ("1.0", "2.0"):
        server.management.unregister("tiny", version)
    server.management.changes.clear()
    restore_others(lambda: server, lines)
    assert server.management.changes == [("register", "tiny-2.0.mar")]
    assert any(line.startswith("tiny 1.0 is left out: ") and "not the file that was verified" in line for line in lines)
