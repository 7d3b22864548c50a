from pathlib import Path

import pytest
from pydantic import ConfigDict

from adapter.durable.record import DurableRecord


class Damaged(Exception): ...


class Count(DurableRecord):
    model_config = ConfigDict(extra="forbid")

    number: int

    @classmethod
    def damaged(cls, path: Path) -> Damaged:
        return Damaged(f"{path.name}: delete it.")


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    for number in (1, 2):
        Count(number=number).write(tmp_path / "count.json")
    assert Count.read(tmp_path / "count.json") == Count(number=2)


def test_where_nothing_was_written_there_is_no_record(tmp_path: Path) -> None:
    assert Count.read(tmp_path / "count.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"number": "many"}', '{"number": 1, "more": 2}', "\0"])
def test_another_content_is_damage_in_the_words_of_its_kind(tmp_path: Path, content: str) -> None:
    (tmp_path / "count.json").write_text(content)
    with pytest.raises(Damaged, match=r"count\.json: delete it\."):
        Count.read(tmp_path / "count.json")


def test_what_cannot_be_read_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "count.json").mkdir()
    with pytest.raises(IsADirectoryError):
        Count.read(tmp_path / "count.json")
