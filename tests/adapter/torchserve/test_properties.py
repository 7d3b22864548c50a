"""Configurations are read as Java, and so TorchServe, reads them."""

from pathlib import Path

import pytest

from adapter.torchserve.properties import PropertiesError, read_properties

SPELLINGS = {
    "equals": ("a=1", {"a": "1"}),
    "colon": ("a: 1", {"a": "1"}),
    "blank": ("a 1\nb\t2", {"a": "1", "b": "2"}),
    "an address": ("inference_address : http://127.0.0.1:8080", {"inference_address": "http://127.0.0.1:8080"}),
    "blanks around": ("  a  =  1 = 2", {"a": "1 = 2"}),
    "comments": ("# a=1\n  ! a=2\n\n", {}),
    "a line that goes on": ("a=1,\\\n    2,\\\n\t3\nb=4", {"a": "1,2,3", "b": "4"}),
    "a comment is none where a line goes on": ("a=1\\\n# 2", {"a": "1# 2"}),
    "two backslashes end a line": ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
    "escapes": ("a\\ b\\=c=\\u00e4\\t\\q", {"a b=c": "ä\tq"}),
    "no value": ("a\nb=\nc:", {"a": "", "b": "", "c": ""}),
    "twice": ("a=1\na:2", {"a": "2"}),
    "lines of Windows": ("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
    "goes on into the end": ("a=1\\", {"a": "1"}),
}


@pytest.mark.parametrize(("text", "properties"), SPELLINGS.values(), ids=SPELLINGS)
def test_takes_every_spelling(tmp_path: Path, text: str, properties: dict[str, str]) -> None:
    file = tmp_path / "config.properties"
    file.write_text(text, encoding="utf-8", newline="")
    assert read_properties(file) == properties


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PropertiesError, match=r"nope, TorchServe's configuration, cannot be read: No such file"):
        read_properties(tmp_path / "nope")


def test_a_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config.properties"
    file.write_bytes(b"\xff")
    with pytest.raises(PropertiesError, match="is not text"):
        read_properties(file)
