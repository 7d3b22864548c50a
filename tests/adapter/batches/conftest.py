import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapter.batches.batch_calls import EchoInference, batch_gateway


class Unsynchronised(sqlite3.Connection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *parameters)


@pytest.fixture(autouse=True)
def _writes_without_the_disks_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Unsynchronised))


@pytest.fixture
def echo() -> EchoInference:
    return EchoInference()


@pytest.fixture
def gateway(tmp_path: Path, echo: EchoInference) -> Iterator[httpx.Client]:
    with batch_gateway(tmp_path / "batches", echo) as client:
        yield client
