"""What the next command finds of one that was killed, wherever in its writing."""

from pathlib import Path

import pytest

from adapter.versions.journal import Journal, Operation, Step

DEPLOYMENT = Operation(kind="deploy", model="tiny", version="2.0", archive="tiny-2.0.mar")


def unfinished(journal: Journal) -> tuple[Operation, Step | None] | None:
    found = journal.unfinished()
    return found and (found.operation, found.step)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal(path)


def test_where_nothing_was_begun_nothing_is_unfinished(journal: Journal) -> None:
    assert journal.unfinished() is None


def test_a_begin_without_a_step_is_unfinished(journal: Journal) -> None:
    journal.begin(DEPLOYMENT)
    assert unfinished(journal) == (DEPLOYMENT, None)


def test_all_that_was_said_of_an_operation_comes_back(journal: Journal) -> None:
    scaling = Operation(kind="scale", model="tiny", version="2.0", workers=0, promotes=False, keep=1)
    journal.begin(scaling)
    assert unfinished(journal) == (scaling, None)


def test_the_last_step_counts(journal: Journal) -> None:
    journal.begin(DEPLOYMENT)
    for step in Step:
        journal.step(DEPLOYMENT, step)
        assert unfinished(journal) == (DEPLOYMENT, step)


def test_what_has_an_end_is_finished(journal: Journal) -> None:
    journal.begin(DEPLOYMENT)
    journal.step(DEPLOYMENT, Step.PROMOTE)
    journal.end(DEPLOYMENT, "done")
    assert journal.unfinished() is None


def test_the_last_operation_counts(journal: Journal) -> None:
    rollback = Operation(kind="rollback", model="tiny", version="1.0")
    journal.begin(DEPLOYMENT)
    journal.end(DEPLOYMENT, "done")
    journal.begin(rollback)
    journal.step(DEPLOYMENT, Step.RETIRE)
    journal.end(DEPLOYMENT, "done")
    assert unfinished(journal) == (rollback, None)


def test_another_reader_finds_the_same(journal: Journal, path: Path) -> None:
    journal.begin(DEPLOYMENT)
    assert unfinished(Journal(path)) == (DEPLOYMENT, None)


def test_a_last_line_that_is_torn_anywhere_was_never_written(journal: Journal, path: Path) -> None:
    journal.begin(DEPLOYMENT)
    journal.step(DEPLOYMENT, Step.COPY)
    whole = path.read_bytes()
    journal.step(DEPLOYMENT, Step.PROMOTE)
    longer = path.read_bytes()
    for length in range(len(whole), len(longer) - 1):
        path.write_bytes(longer[:length])
        assert unfinished(journal) == (DEPLOYMENT, Step.COPY)


def test_what_is_written_after_a_torn_line_is_read(journal: Journal, path: Path) -> None:
    journal.begin(DEPLOYMENT)
    for torn in (b'{"at":"2026', b"\xff", b"{}"):
        with path.open("ab") as file:
            file.write(torn)
        journal.step(DEPLOYMENT, Step.LOAD)
        assert unfinished(journal) == (DEPLOYMENT, Step.LOAD)
    assert len(path.read_bytes().splitlines()) == 1 + 2 * 3


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 512, id="zeros"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"at":"2026-01-01T00:00:00Z","id":"x","begin":{"kind":"burn"}}', id="unknown operation"),
        pytest.param(b'{"at":"2026-01-01T00:00:00Z","id":"x","step":"burn"}', id="unknown step"),
    ],
)
def test_garbage_between_the_lines_is_passed_over(journal: Journal, path: Path, line: bytes) -> None:
    journal.begin(DEPLOYMENT)
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n")
    assert unfinished(journal) == (DEPLOYMENT, None)


def test_above_a_mebibyte_a_new_file_begins_and_the_last_one_is_kept(journal: Journal, path: Path) -> None:
    journal.begin(DEPLOYMENT)
    journal.end(DEPLOYMENT, "done")
    path.write_bytes(b"\n" * 2**20 + path.read_bytes())
    old = path.read_bytes()
    journal.begin(DEPLOYMENT)
    assert path.with_name("journal.1.jsonl").read_bytes() == old
    assert path.read_bytes().count(b"\n") == 1
    assert unfinished(journal) == (DEPLOYMENT, None)


def test_a_step_never_begins_a_new_file_as_its_begin_would_not_be_found(journal: Journal, path: Path) -> None:
    journal.begin(DEPLOYMENT)
    path.write_bytes(path.read_bytes() + b"\n" * 2**20)
    journal.step(DEPLOYMENT, Step.PROMOTE)
    assert unfinished(journal) == (DEPLOYMENT, Step.PROMOTE)
    assert not path.with_name("journal.1.jsonl").exists()


def test_each_line_is_synced_before_the_call_returns(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("adapter.durable.json_lines.os.fsync", lambda _: sizes.append(path.stat().st_size))
    journal.begin(DEPLOYMENT)
    after_begin = path.stat().st_size
    journal.step(DEPLOYMENT, Step.COPY)
    # The second one is for the new file's name.
    assert sizes == [after_begin, after_begin, path.stat().st_size]
