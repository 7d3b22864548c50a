"""What a gateway finds when it is started again over the files and batches of an earlier one."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from adapter.batches.batch_records import own_batch, put_batch
from adapter.batches.database import Database, NewerDatabase
from adapter.batches.directory import BatchDirectory, DirectoryInUse
from tests.adapter.batches.batch_calls import (
    EchoInference,
    batch_gateway,
    begin,
    json_lines,
    line,
    lines_of,
    state_of,
    text_of,
    upload,
    wait_for_end,
)
from tests.waiting import wait_until


def edit(directory: Path, batch: dict[str, Any], **changes: Any) -> None:
    with sqlite3.connect(directory / "batches.sqlite") as connection:
        put_batch(connection, own_batch(connection, batch["id"]).batch.model_copy(update=changes))
    connection.close()


def interrupted(directory: Path, echo: EchoInference, num_answered: int, num_lines: int) -> dict[str, Any]:
    """A batch whose gateway has ended after so many answers."""
    echo.most = num_answered
    with batch_gateway(directory, echo, batch_max_running=1) as gateway:
        batch = begin(gateway, *(line(number, f"question {number}") for number in range(num_lines)))
        wait_until(lambda: state_of(gateway, batch)["request_counts"]["completed"] == num_answered)
        return state_of(gateway, batch)


def test_only_what_has_no_answer_yet_is_asked_again(tmp_path: Path, echo: EchoInference) -> None:
    batch = interrupted(tmp_path, echo, num_answered=30, num_lines=120)
    assert batch["status"] == "in_progress"
    num_answered_at_least = batch["request_counts"]["completed"]
    again = EchoInference()
    with batch_gateway(tmp_path, again) as gateway:
        ended = wait_for_end(gateway, batch)
        answered = lines_of(gateway, ended["output_file_id"])
    assert (ended["status"], ended["request_counts"]["completed"]) == ("completed", 120)
    assert [text_of(each) for each in answered] == [f"question {number}" for number in range(120)]
    asked_twice = set(echo.asked) & set(again.asked)
    assert len(asked_twice) <= 1  # the one that ran as the gateway ended
    assert len(again.order) <= 120 - num_answered_at_least


def test_a_batch_whose_window_ended_meanwhile_keeps_what_was_answered(tmp_path: Path, echo: EchoInference) -> None:
    batch = interrupted(tmp_path, echo, num_answered=5, num_lines=120)
    edit(tmp_path, batch, expires_at=int(time.time()) - 1)
    again = EchoInference()
    with batch_gateway(tmp_path, again) as gateway:
        ended = wait_for_end(gateway, batch)
        answered, errors = (lines_of(gateway, ended[f"{kind}_file_id"]) for kind in ("output", "error"))
    assert (ended["status"], len(again.order)) == ("expired", 0)
    assert ended["request_counts"]["completed"] == len(answered) >= 5
    assert {each["error"]["code"] for each in errors} == {"batch_expired"}
    assert {each["custom_id"] for each in answered + errors} == {f"request-{number}" for number in range(120)}
    assert len(answered) + len(errors) == 120


@pytest.mark.parametrize(("status", "end"), [("finalizing", "expired"), ("cancelling", "cancelled")])
def test_an_end_that_had_begun_goes_on(tmp_path: Path, echo: EchoInference, status: str, end: str) -> None:
    batch = interrupted(tmp_path, echo, num_answered=5, num_lines=120)
    edit(tmp_path, batch, status=status)
    again = EchoInference()
    with batch_gateway(tmp_path, again) as gateway:
        ended = wait_for_end(gateway, batch)
        assert len(lines_of(gateway, ended["output_file_id"])) == ended["request_counts"]["completed"]
    assert (ended["status"], len(again.order)) == (end, 0)


def test_a_validation_that_was_cut_short_begins_anew(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo) as gateway:
        batch = wait_for_end(gateway, begin(gateway, line(1), line(2)))
    edit(tmp_path, batch, status="validating", completed_at=None)  # its rows are gone, as before the first token
    with batch_gateway(tmp_path, echo) as gateway:
        assert wait_for_end(gateway, batch)["request_counts"] == {"total": 2, "completed": 2, "failed": 0}


def test_files_of_which_nobody_knows_are_deleted(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo) as gateway:
        file_id = upload(gateway, json_lines(line(1))).json()["id"]
    for name in (".unfinished-1", "file-unknown"):
        (tmp_path / "files" / name).write_bytes(b"half")
    with batch_gateway(tmp_path, echo) as gateway:
        assert gateway.get(f"/v1/files/{file_id}").status_code == 200
        assert [path.name for path in (tmp_path / "files").iterdir()] == [file_id]


def test_what_has_expired_is_deleted_but_not_what_a_batch_still_reads(tmp_path: Path, echo: EchoInference) -> None:
    echo.is_held = True
    with batch_gateway(tmp_path, echo) as gateway:
        unused = upload(gateway, json_lines(line(1))).json()["id"]
        used = begin(gateway, line(1))["input_file_id"]
    with sqlite3.connect(tmp_path / "batches.sqlite") as connection:
        connection.execute("UPDATE files SET expires_at = 1")
    connection.close()
    with batch_gateway(tmp_path, echo) as gateway:
        wait_until(lambda: gateway.get(f"/v1/files/{unused}").status_code == 404)
        assert gateway.get(f"/v1/files/{used}/content").status_code == 200


def test_a_second_gateway_does_not_run_the_same_batches(tmp_path: Path, echo: EchoInference) -> None:
    with (
        batch_gateway(tmp_path, echo),
        pytest.raises(DirectoryInUse, match="TORCHBRIDGE_BATCH_DIRECTORY"),
        BatchDirectory(tmp_path).hold(),
    ):
        pass


async def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "batches.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerDatabase):
        async with Database(path):
            pass
