import json
from io import StringIO

from rich.console import Console

from adapter.archives.inspection import as_json, as_tables
from tests.adapter.archives.test_record import RECORD


def shown(width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(as_tables(RECORD))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_tables_say_what_the_record_says() -> None:
    rows = [line.split() for line in shown().splitlines()]

    assert ["digest", RECORD.digest] in rows
    assert ["parameters", "6", "F32,", "2", "BF16"] in rows
    assert ["text_generation.py", "1", "byte", "b" * 16] in rows


def test_the_digest_is_whole_on_a_narrow_terminal() -> None:
    assert RECORD.digest in "".join(line.removeprefix("digest").strip() for line in shown(width=60).splitlines())


def test_the_memory_is_that_of_a_processor_with_16_bits_and_of_one_without() -> None:
    assert "28 bytes as stored, 32 bytes in float32: on a CPU without units for 16 bits" in shown()


def test_json_is_the_record_its_digest_and_what_the_weights_take() -> None:
    said = json.loads(as_json(RECORD))
    assert said.pop("weight_bytes") == {"stored": 28, "float32": 32}
    assert said == {"digest": RECORD.digest, **json.loads(RECORD.to_bytes())}
