from io import StringIO

import pytest

from adapter.archives.progress import progress_bar


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("error_output", "total", "is_shown"),
    [(Terminal(), 100_000_000, True), (Terminal(), 99_999_999, False), (StringIO(), 100_000_000, False)],
    ids=["a large archive", "a small archive", "no terminal"],
)
def test_is_shown_on_a_terminal_for_large_archives(
    monkeypatch: pytest.MonkeyPatch, error_output: StringIO, total: int, *, is_shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", error_output)
    with progress_bar("writing", total) as advance:
        advance(total)
    assert ("writing" in error_output.getvalue()) is is_shown
