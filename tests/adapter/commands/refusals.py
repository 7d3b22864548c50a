import pytest


def expect_refusal(capsys: pytest.CaptureFixture[str], reason: str) -> None:
    """The last line of the standard error, after what was said of the progress."""
    *progress, refusal = capsys.readouterr().err.splitlines()
    assert refusal.startswith("torchbridge: ")
    assert not [line for line in progress if line.startswith("torchbridge: ")]
    assert reason in refusal
