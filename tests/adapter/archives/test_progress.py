from io import StringIO

import pytest

from adapter.archives.progress import progress_bar


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("error_output", "total", "is_shown"),
    [(Terminal(), 100_000_000, True), (Terminal(), 99_999_999, False), (StringIO(), 99_999_999, False)],
    ids=["a large archive", "a small archive", "a small archive without a terminal"],
)
def test_is_shown_for_large_archives(
    monkeypatch: pytest.MonkeyPatch, error_output: StringIO, total: int, *, is_shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", error_output)
    with progress_bar("writing", total) as advance:
        advance(total)
    assert ("writing" in error_output.getvalue()) is is_shown


def test_is_a_line_at_each_tenth_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("writing", 200_000_000) as advance:
        for _ in range(5):
            advance(39_999_999)
        advance(5)
    assert capsys.readouterr().err.splitlines() == [
        f"writing: {percent} % of 200.0 MB" for percent in (10, 30, 50, 70, 90, 100)
    ]
