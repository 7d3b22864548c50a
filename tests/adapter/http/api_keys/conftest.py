from pathlib import Path

import pytest

from adapter.http import api_keys
from tests.adapter.http.api_keys.known_keys import FIRST


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.txt"
    file.touch(0o600)
    file.write_text(FIRST)
    return file


@pytest.fixture
def looks_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "_SECONDS_BETWEEN_LOOKS", 0)
