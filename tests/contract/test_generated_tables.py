"""The tables that `make generate` writes into docs/."""

import pytest

from adapter.documents.error_table import PAGE as ERRORS
from adapter.documents.error_table import with_error_table
from adapter.documents.settings_table import PAGE as SETTINGS
from adapter.documents.settings_table import with_settings_table

ERROR_PAGE = ERRORS.read_text(encoding="utf-8")
SETTINGS_PAGE = SETTINGS.read_text(encoding="utf-8")


def test_the_error_table_is_the_catalogue() -> None:
    assert with_error_table(ERROR_PAGE) == ERROR_PAGE, "run `make generate`"


def test_a_stale_error_table_is_replaced_and_nothing_else() -> None:
    stale = ERROR_PAGE.replace("| `overloaded` | 503 |", "| `overloaded` | 500 |").replace("| `cancelled` | 499 |", "")

    assert stale != ERROR_PAGE
    assert with_error_table(stale) == ERROR_PAGE


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        with_error_table("# Torchbridge\n")


def test_the_table_of_settings_is_that_of_the_code() -> None:
    assert with_settings_table(SETTINGS_PAGE) == SETTINGS_PAGE, "run `make generate`"


def test_a_stale_table_of_settings_is_replaced_and_nothing_else() -> None:
    stale = SETTINGS_PAGE.replace("| `TORCHBRIDGE_PORT` | `8000` |", "| `TORCHBRIDGE_PORT` | `80` |")

    assert stale != SETTINGS_PAGE
    assert with_settings_table(stale) == SETTINGS_PAGE
