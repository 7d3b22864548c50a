"""What people read in a narrow terminal and what a script reads from a pipe."""

import pytest

from adapter.command_line.plain_table import print_rows


def test_columns_stand_below_each_other_and_no_cell_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("model", "role", "digest"), ("a-model-of-a-long-name", "", "0123456789abcdef"), ("b", "default", "")])
    assert capsys.readouterr().out.splitlines() == [
        "model                   role     digest",
        "a-model-of-a-long-name           0123456789abcdef",
        "b                       default",
    ]
