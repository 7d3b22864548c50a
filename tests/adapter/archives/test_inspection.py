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


def test_json_is_the_record_and_its_digest() -> None:
    assert json.loads(as_json(RECORD)) == {"digest": RECORD.digest, **json.loads(RECORD.to_bytes())}
