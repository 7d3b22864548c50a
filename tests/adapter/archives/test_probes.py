"""What a model answered when it was packed is a part of its archive, and is recorded once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.archive_reader import ArchiveError, read_probes, read_record
from adapter.archives.verification import VerificationError, verify_archive
from adapter.probes import PROBES_ENTRY, Probes
from tests.adapter.archives.repacking import Contents, contents_of, put, repack, write_contents
from tests.adapter.archives.throwaway_archive import ANSWERS, write_archive
from tests.example_probes import PROBES, make_probe


class Check:
    """As check_model, and counts how often it is asked."""

    def __init__(self, probes: Probes | None = PROBES) -> None:
        self.probes = probes
        self.num_calls = 0

    def __call__(self, _model_directory: Path, _config_file: Path) -> Probes | None:
        self.num_calls += 1
        return self.probes


def build(model: Path, check: Check | None = None, config: Path | None = None) -> Path:
    chosen = {} if config is None else {"config_file": config}
    return build_archive(model, "tiny", "1.0", model.parent / "store", check=check, **chosen)


def test_what_the_check_answers_is_packed_and_recorded(model: Path) -> None:
    archive = build(model, Check())

    assert read_probes(archive) == PROBES
    assert read_record(archive).files[PROBES_ENTRY].size == len(PROBES.to_bytes())
    assert PROBES_ENTRY in contents_of(archive)["MAR-INF/bom.cdx.json"].decode()
    verify_archive(archive)


@pytest.mark.parametrize("check", [None, Check(None)], ids=["no check", "a check that records nothing"])
def test_an_archive_may_have_none(model: Path, check: Check | None) -> None:
    archive = build(model, check)

    assert read_probes(archive) is None
    assert PROBES_ENTRY not in read_record(archive).files
    verify_archive(archive)


def test_other_answers_are_another_digest(model: Path) -> None:
    digest = read_record(build(model, Check())).digest
    (model.parent / "store" / "tiny-1.0.mar").unlink()

    assert read_record(build(model, Check(Probes(probes=(make_probe(),))))).digest != digest


def test_an_archive_that_holds_just_this_is_not_checked_again(model: Path) -> None:
    before = build(model, Check()).stat()
    check = Check()
    after = build(model, check).stat()

    assert check.num_calls == 0
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nor_is_it_written_anew_without_probes_where_no_check_is_asked_for(model: Path) -> None:
    build(model, Check())

    assert read_probes(build(model)) == PROBES


def test_an_archive_without_probes_gets_them(model: Path) -> None:
    build(model)
    check = Check()

    assert read_probes(build(model, check)) == PROBES
    assert check.num_calls == 1


def change_the_tokenizer(model: Path, _archive: Path) -> None:
    (model / "tokenizer.json").write_text('{"a": 1}')


def change_the_record(_model: Path, archive: Path) -> None:
    repack(archive, put("MAR-INF/bom.cdx.json", b"{}"))


def cut(_model: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-100])


@pytest.mark.parametrize("change", [change_the_tokenizer, change_the_record, cut])
def test_an_archive_that_differs_otherwise_is_checked_anew(model: Path, change: Callable[[Path, Path], None]) -> None:
    archive = build(model, Check())
    change(model, archive)
    check = Check(Probes(probes=()))

    assert read_probes(build(model, check)) == check.probes
    assert check.num_calls == 1
    verify_archive(archive)


def members(**changes: object) -> Callable[[Contents], object]:
    return put(PROBES_ENTRY, json.dumps(json.loads(PROBES.to_bytes()) | changes).encode())


def of_a_probe(**changes: object) -> Callable[[Contents], object]:
    content = json.loads(PROBES.to_bytes())
    content["probes"][0] |= changes
    return put(PROBES_ENTRY, json.dumps(content, separators=(",", ":")).encode() + b"\n")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put(PROBES_ENTRY, b"\x80\x04."), id="a pickle"),
        pytest.param(put(PROBES_ENTRY, PROBES.to_bytes() + b" "), id="a space more"),
        pytest.param(members(format=2), id="a later format"),
        pytest.param(members(extra=1), id="a member more"),
        pytest.param(of_a_probe(log_probabilities=[0, 0, 0]), id="a number less"),
        pytest.param(of_a_probe(log_probabilities=[0, 0, 0, 1]), id="more than certain"),
        pytest.param(of_a_probe(log_probabilities=[0, 0, 0, float("nan")]), id="not a number"),
        pytest.param(of_a_probe(prompt=""), id="no prompt"),
        pytest.param(of_a_probe(finish_reason="stop_sequence"), id="an end that no probe has"),
    ],
)
def test_what_torchbridge_does_not_write_is_refused(model: Path, change: Callable[[Contents], object]) -> None:
    archive = build(model, Check())
    repack(archive, change)

    with pytest.raises(VerificationError, match=f"{PROBES_ENTRY}: "):
        verify_archive(archive)
    with pytest.raises(ArchiveError, match="has probes that torchbridge did not write"):
        read_probes(archive)


def test_probes_that_are_missing_are_noticed(model: Path) -> None:
    archive = build(model, Check())
    contents = contents_of(archive)
    del contents[PROBES_ENTRY]
    write_contents(archive, contents)

    with pytest.raises(VerificationError, match=f"{PROBES_ENTRY}: its size and SHA-256 are not what the record says"):
        verify_archive(archive)


def test_an_archive_that_torchbridge_did_not_pack_has_none(tmp_path: Path) -> None:
    assert read_probes(write_archive(tmp_path, "throwaway", ANSWERS)) is None
