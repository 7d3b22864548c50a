"""A batch that is asked for again, because nobody has heard the answer, is made once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapter.batches.database import Database
from tests.adapter.batches.batch_calls import (
    CHATS,
    EchoInference,
    batch_gateway,
    begin,
    json_lines,
    line,
    upload,
    wait_for_end,
)


@pytest.fixture
def asked(gateway: httpx.Client) -> dict[str, Any]:
    file_id = upload(gateway, json_lines(line(1))).json()["id"]
    return {"input_file_id": file_id, "endpoint": CHATS, "completion_window": "24h"}


def create(gateway: httpx.Client, asked: dict[str, Any], key: str) -> httpx.Response:
    return gateway.post("/v1/batches", json=asked, headers={"idempotency-key": key})


def test_the_second_answer_is_the_first_batch(gateway: httpx.Client, asked: dict[str, Any]) -> None:
    first = create(gateway, asked, "a").raise_for_status().json()
    ended = wait_for_end(gateway, first)
    assert create(gateway, asked, "a").raise_for_status().json() == ended
    assert create(gateway, asked, "b").raise_for_status().json()["id"] != first["id"]
    assert len(gateway.get("/v1/batches").json()["data"]) == 2


def test_it_is_found_although_its_file_is_gone(gateway: httpx.Client, asked: dict[str, Any]) -> None:
    first = create(gateway, asked, "a").raise_for_status().json()
    wait_for_end(gateway, first)
    gateway.delete(f"/v1/files/{asked['input_file_id']}").raise_for_status()
    assert create(gateway, asked, "a").json()["id"] == first["id"]


@pytest.mark.parametrize("changed", [{"completion_window": "7d"}, {"metadata": {"for": "another"}}])
def test_a_key_of_another_batch_is_a_conflict(
    gateway: httpx.Client, asked: dict[str, Any], changed: dict[str, Any]
) -> None:
    create(gateway, asked, "a").raise_for_status()
    assert create(gateway, asked | changed, "a").json()["code"] == "conflict"


def test_without_a_key_each_is_a_new_one(gateway: httpx.Client, asked: dict[str, Any]) -> None:
    ids = {gateway.post("/v1/batches", json=asked).raise_for_status().json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_key_that_is_too_long_is_refused(gateway: httpx.Client, asked: dict[str, Any]) -> None:
    assert create(gateway, asked, "a" * 256).status_code == 422


async def test_a_database_of_before_keeps_its_batches(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo) as gateway:
        batch = wait_for_end(gateway, begin(gateway, line(1)))
    file = tmp_path / "batches.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "DROP INDEX batches_by_idempotency_key; ALTER TABLE batches DROP COLUMN idempotency_key;"
            "PRAGMA user_version = 1;"
        )
    async with Database(file):
        pass
    with batch_gateway(tmp_path, echo) as gateway:
        assert gateway.get(f"/v1/batches/{batch['id']}").json() == batch
