import pytest


def expect_refusal(capsys: pytest.CaptureFixture[str], reason: str) -> None:
    refusal = capsys.readouterr().err
    assert refusal.startswith("torchbridge: ")
    assert refusal.count("\n") == 1
    assert reason in refusal
