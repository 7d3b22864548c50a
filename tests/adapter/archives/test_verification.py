"""What `torchbridge verify` lets pass, and by which rule it refuses the rest."""

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.archive_reader import read_record
from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import SigningKeyError, create_key_pair, load_private_key
from adapter.archives.strict_zip import read_entries
from adapter.archives.verification import VerificationError, verify_archive
from tests.adapter.archives.model_files import write_model, write_weights
from tests.adapter.archives.repacking import (
    RECORD,
    Contents,
    contents_of,
    drop,
    edit_record,
    put,
    repack,
    write_contents,
)

TOKENIZER = "model/tokenizer.json"
PICKLE = pickle.dumps({"weight": [1.0]})
NUM_FLIPPED = 1_000 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 200


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The public one, of release.key."""
    return create_key_pair(tmp_path / "release")[1]


def sign(archive: Path) -> None:
    sign_file(archive, load_private_key(archive.with_name("release.key")))


def test_what_was_packed_passes_without_a_key(archive: Path) -> None:
    verified = verify_archive(archive)

    assert verified.record == read_record(archive)
    assert not verified.is_signed


def test_what_was_packed_and_signed_passes_with_the_key(archive: Path, key: Path) -> None:
    sign(archive)

    assert verify_archive(archive, key).is_signed


def test_shards_that_the_index_names_pass(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (model / "model.safetensors").unlink()
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for shard in shards.values():
        write_weights(model / shard)
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))

    verify_archive(build_archive(model, "tiny", "1.0", tmp_path))


def flipped_positions(archive: Path) -> list[int]:
    """Some in each file, and many between them, where there is less."""
    with archive.open("rb") as file:
        entries = read_entries(file)
    contents = [range(entry.content_offset, entry.end) for entry in entries if entry.size]
    between = sorted(set(range(archive.stat().st_size)).difference(*contents))
    rng = random.Random(7)
    in_files = [rng.choice(content) for content in contents for _ in range(NUM_FLIPPED * 3 // 5 // len(contents))]
    return in_files + rng.sample(between, NUM_FLIPPED - len(in_files))


@pytest.mark.parametrize("is_signed", [False, True], ids=["without a key", "with a key"])
def test_flipped_bytes_are_refused(archive: Path, key: Path, *, is_signed: bool) -> None:
    sign(archive)
    positions = flipped_positions(archive)
    content = bytearray(archive.read_bytes())
    accepted = []
    for position in positions:
        content[position] ^= 1 << position % 8
        archive.write_bytes(content)
        content[position] ^= 1 << position % 8
        try:
            verify_archive(archive, key if is_signed else None)
        except VerificationError:
            continue
        accepted.append(position)

    assert len(positions) == NUM_FLIPPED
    assert accepted == []


CHANGED = "its size and SHA-256 are not what the record says"
UNTRUE = {
    "a file that has changed": (put(TOKENIZER, b'{"a":1}'), f"{TOKENIZER}: {CHANGED}"),
    "a file that it leaves out": (put("model/vocab.json", b"{}"), f"model/vocab.json: {CHANGED}"),
    "a file that is not there": (drop("model/tokenizer_config.json"), f"model/tokenizer_config.json: {CHANGED}"),
    "a digest of itself": (
        lambda c: edit_record(c, lambda record: record["files"].update({RECORD: record["files"][TOKENIZER]})),
        f"{RECORD}: {CHANGED}",
    ),
    "a space more": (lambda c: c.update({RECORD: c[RECORD] + b" "}), "not a record that torchbridge writes"),
    "no JSON": (put(RECORD, PICKLE), "not a record that torchbridge writes"),
    "a member more": (
        lambda c: edit_record(c, lambda record: record.update(extra=1)),
        "not a record that torchbridge writes",
    ),
}


@pytest.mark.parametrize(("change", "reason"), UNTRUE.values(), ids=UNTRUE.keys())
def test_refuses_a_record_with(archive: Path, change: Callable[[Contents], object], reason: str) -> None:
    contents = contents_of(archive)
    change(contents)
    write_contents(archive, contents)

    with pytest.raises(VerificationError, match=reason):
        verify_archive(archive)


def test_refuses_an_archive_under_another_name(archive: Path) -> None:
    renamed = archive.rename(archive.with_name("other-1.0.mar"))

    with pytest.raises(VerificationError, match=r"the file's name is not that of 'tiny' in version '1\.0'"):
        verify_archive(renamed)


def test_a_signed_archive_may_hold_another_versions_code(archive: Path, key: Path) -> None:
    repack(archive, put("handlers/engine.py", b"# of another version"))
    sign(archive)

    assert verify_archive(archive, key).is_signed
    with pytest.raises(
        VerificationError, match=r"handlers/engine\.py: it is not this installation's, and no key vouches"
    ):
        verify_archive(archive)


def test_a_signed_archive_keeps_to_the_other_rules(archive: Path, key: Path) -> None:
    repack(archive, put("model/pytorch_model.bin", PICKLE))
    sign(archive)

    with pytest.raises(VerificationError, match=r"model/pytorch_model\.bin: an archive has no file of this name"):
        verify_archive(archive, key)


def sign_with_another_key(archive: Path) -> None:
    private, _ = create_key_pair(archive.with_name("other"))
    sign_file(archive, load_private_key(private))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda archive: signature_path(archive).unlink(), "it is not signed", id="no signature"),
        pytest.param(lambda archive: signature_path(archive).write_text("{}"), "no OpenSSF", id="no bundle"),
        pytest.param(sign_with_another_key, "it is signed with another key", id="another key"),
        pytest.param(lambda archive: repack(archive, put(TOKENIZER, b"[]")), "is of another file", id="another file"),
    ],
)
def test_refuses_with_a_key_an_archive_that_it_did_not_sign(
    archive: Path, key: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    sign(archive)
    spoil(archive)

    with pytest.raises(VerificationError, match=reason):
        verify_archive(archive, key)


def test_a_wrong_key_file_is_no_verdict_on_the_archive(archive: Path) -> None:
    with pytest.raises(SigningKeyError):
        verify_archive(archive, archive)
