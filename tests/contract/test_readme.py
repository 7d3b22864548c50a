import re

import pytest

from adapter.error_table import README as README_FILE
from adapter.error_table import with_error_table

README = README_FILE.read_text(encoding="utf-8")


def test_the_error_table_is_the_catalogue() -> None:
    assert with_error_table(README) == README, "run `make generate`"


def test_a_stale_error_table_is_replaced_and_nothing_else() -> None:
    stale = README.replace("| `overloaded` | 503 |", "| `overloaded` | 500 |").replace("| `cancelled` | 499 |", "")

    assert stale != README
    assert with_error_table(stale) == README


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        with_error_table("# Torchbridge\n")


def test_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"[\w./-]+\.py\b", README))

    assert named
    assert {name for name in named if not (README_FILE.parent / name).is_file()} == set()
