import hashlib
import json

import pytest

from adapter.archives.record import ArchiveRecord, FileRecord, ModelFacts, Versions

RECORD = ArchiveRecord(
    contract=2,
    name="tiny",
    version="1.0",
    model=ModelFacts(
        architecture="LlamaForCausalLM", parameters={"F32": 6, "BF16": 2}, tokenizer_sha256="a" * 64, source=None
    ),
    versions=Versions(torch="2.13.0+cpu", torchbridge="0.1.0", transformers="5.23.0"),
    files={
        "text_generation.py": FileRecord(size=1, sha256="b" * 64),
        "adapter/x.py": FileRecord(size=0, sha256="c" * 64),
    },
)


def test_is_written_in_one_way_whatever_the_order_of_its_parts() -> None:
    content = RECORD.to_bytes()
    assert content == RECORD.model_copy(update={"files": dict(reversed(RECORD.files.items()))}).to_bytes()
    assert content == json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_its_digest_is_that_of_its_bytes() -> None:
    assert RECORD.digest == hashlib.sha256(RECORD.to_bytes()).hexdigest()
    assert ArchiveRecord.from_bytes(RECORD.to_bytes()) == RECORD


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(RECORD.to_bytes().rstrip(), id="no line's end"),
        pytest.param(RECORD.to_bytes().replace(b'"size":', b'"size": '), id="a space"),
        pytest.param(RECORD.to_bytes().replace(b'"size":1', b'"size":1,"size":1'), id="a key twice"),
        pytest.param(RECORD.to_bytes().replace(b'"size":1', b'"size":-1'), id="a negative size"),
        pytest.param(RECORD.to_bytes().replace(b'"size":1', b'"size":true'), id="another type"),
        pytest.param(RECORD.to_bytes().replace(b'"format":1', b'"format":2'), id="another format"),
        pytest.param(RECORD.to_bytes().replace(b"tiny", b"token"), id="a name that no model may have"),
        pytest.param(RECORD.to_bytes().replace(b"Llama", b"\\u001b[2J"), id="what a terminal would obey"),
        pytest.param(RECORD.to_bytes().replace(b"b" * 64, b"B" * 64), id="an upper-case digest"),
        pytest.param(RECORD.to_bytes().replace(b'"contract":2', b'"contract":1'), id="the first contract"),
        pytest.param(b'{"unknown":1,' + RECORD.to_bytes()[1:], id="an unknown key"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_refuses_all_else(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"valid|canonical"):
        ArchiveRecord.from_bytes(content)


def test_a_record_without_a_contract_is_of_the_first_and_keeps_its_digest() -> None:
    first = RECORD.model_copy(update={"contract": 1})
    assert b'"contract"' not in first.to_bytes()
    assert ArchiveRecord.from_bytes(first.to_bytes()) == first
