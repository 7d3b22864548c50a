"""What people read in a narrow terminal and what a script reads from a pipe."""

import pytest
from rich.table import Table

from adapter.command_line.tables import print_table


def test_no_cell_is_cut_where_there_are_fewer_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    table = Table(box=None, pad_edge=False)
    for name in ("model", "digest"):
        table.add_column(name, no_wrap=True)
    table.add_row("a-model-of-a-long-name", "0123456789abcdef")
    print_table(table)

    assert capsys.readouterr().out.splitlines()[1] == "a-model-of-a-long-name  0123456789abcdef"
