from pathlib import Path

import pytest

from tests.adapter.logs.log_directory import LogDirectory


@pytest.fixture
def logs(tmp_path: Path) -> LogDirectory:
    return LogDirectory(tmp_path)
