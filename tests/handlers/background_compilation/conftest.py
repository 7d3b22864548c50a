from pathlib import Path

import pytest

from adapter.handler_section import COMPILED_STEPS_VARIABLE


@pytest.fixture(autouse=True)
def compiled_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(COMPILED_STEPS_VARIABLE, str(tmp_path / "steps"))
    return tmp_path / "steps"
