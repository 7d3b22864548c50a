import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai.types
import pytest

from tests.adapter.batches.batch_calls import (
    EchoInference,
    batch_gateway,
    begin,
    json_lines,
    line,
    upload,
    wait_for_end,
)
from tests.full_disk import fill, small_disk

CONTENT = json_lines(line(1))
ANN, BOB = "ann-0123456789-abc", "bob-0123456789-abc"


def as_openai_has_it(kind: type[openai.BaseModel], answer: Any) -> None:
    parsed = kind.model_validate(answer)
    assert parsed.to_dict(exclude_unset=True) == answer
    assert not parsed.model_extra


def ids_of(answer: httpx.Response) -> list[str]:
    return [each["id"] for each in answer.raise_for_status().json()["data"]]


def test_a_file_is_one_of_openais_and_comes_back_byte_by_byte(gateway: httpx.Client) -> None:
    file = upload(gateway, CONTENT).raise_for_status().json()
    as_openai_has_it(openai.types.FileObject, file)
    assert (file["bytes"], file["filename"], file["purpose"]) == (len(CONTENT), "input.jsonl", "batch")
    assert gateway.get(f"/v1/files/{file['id']}").json() == file
    assert gateway.get(f"/v1/files/{file['id']}/content").content == CONTENT


def test_a_deleted_file_is_gone_from_the_disk(gateway: httpx.Client, tmp_path: Path) -> None:
    file_id = upload(gateway, CONTENT).json()["id"]
    deleted = gateway.delete(f"/v1/files/{file_id}").json()
    as_openai_has_it(openai.types.FileDeleted, deleted)
    assert [gateway.get(f"/v1/files/{file_id}{rest}").status_code for rest in ("", "/content")] == [404, 404]
    assert list((tmp_path / "batches" / "files").iterdir()) == []


def test_files_are_listed_page_by_page(gateway: httpx.Client) -> None:
    first, second, third = (upload(gateway, CONTENT).json()["id"] for _ in range(3))
    assert ids_of(gateway.get("/v1/files")) == [third, second, first]
    page = gateway.get("/v1/files", params={"limit": 2, "order": "asc"})
    assert (ids_of(page), page.json()["has_more"]) == ([first, second], True)
    rest = gateway.get("/v1/files", params={"limit": 2, "order": "asc", "after": second})
    assert (ids_of(rest), rest.json()["has_more"]) == ([third], False)
    assert ids_of(gateway.get("/v1/files", params={"purpose": "batch_output"})) == []
    assert gateway.get("/v1/files", params={"after": "file-none"}).status_code == 404


def test_nobody_but_its_user_can_read_what_is_kept(gateway: httpx.Client, tmp_path: Path) -> None:
    upload(gateway, CONTENT)
    kept = tmp_path / "batches"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in kept.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept, kept / "files")} == {0o700}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"purpose": "fine-tune"}, "purpose"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "12"}, "seconds"),
        ({"expires_after[seconds]": "7200"}, "anchor"),
        ({"purpose": "b" * 2_000}, "form"),
    ],
)
def test_a_form_that_is_not_right_is_refused_by_its_field(
    gateway: httpx.Client, tmp_path: Path, form: dict[str, str], field: str
) -> None:
    answer = upload(gateway, CONTENT, **form)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, field)
    assert list((tmp_path / "batches" / "files").iterdir()) == []


def test_a_file_may_be_kept_for_a_shorter_time(gateway: httpx.Client) -> None:
    form = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "7200"}
    file = upload(gateway, CONTENT, **form).raise_for_status().json()
    assert file["expires_at"] - file["created_at"] == 7_200


FORM = {"content-type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"{}", {"content-type": "application/json"}, 415, id="JSON"),
        pytest.param(b"", {}, 415, id="nothing"),
        pytest.param(b"{}", {"content-type": "multipart/form-data"}, 415, id="no boundary"),
        pytest.param(b"hello", FORM, 422, id="no form"),
        pytest.param(PART + b"cut", FORM, 422, id="no end"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--', FORM, 422, id="no file"
        ),
        pytest.param(PART + b"\r\n" + PART + b"\r\n--b--", FORM, 422, id="two files"),
        pytest.param(b"--b\r\nX: " + b"y" * 10_000 + b"\r\n\r\n\r\n--b--", FORM, 422, id="long headers"),
    ],
)
def test_what_is_no_upload_is_a_typed_error(
    gateway: httpx.Client, tmp_path: Path, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = gateway.post("/v1/files", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert list((tmp_path / "batches" / "files").iterdir()) == []


def test_a_file_may_be_longer_than_a_body_but_not_than_its_own_limit(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo, max_body_bytes=1_000, batch_max_file_bytes=100_000) as gateway:
        statuses = [upload(gateway, b"x" * size).status_code for size in (100_000, 100_001, 200_000)]
        assert gateway.post("/v1/completions", json={"prompt": "x" * 1_000}).status_code == 413
    assert statuses == [200, 413, 413]


def test_a_full_disk_refuses_the_upload_and_leaves_nothing(tmp_path: Path, echo: EchoInference) -> None:
    with (
        small_disk(tmp_path / "disk", 2**22) as disk,
        batch_gateway(disk / "batches", echo) as gateway,
    ):
        filler = fill(disk, free=2**19)
        refused = upload(gateway, b"x" * 2**20)
        assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (503, "overloaded", True)
        assert str(disk) not in refused.text
        assert list((disk / "batches" / "files").iterdir()) == []
        filler.unlink()
        assert upload(gateway, b"x" * 2**20).status_code == 200


@pytest.fixture
def two_callers(tmp_path: Path, echo: EchoInference) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    with batch_gateway(tmp_path, echo, api_keys=f"ann:{ANN},bob:{BOB}") as ann:
        ann.headers["authorization"] = f"Bearer {ANN}"
        with httpx.Client(base_url=ann.base_url, headers={"authorization": f"Bearer {BOB}"}) as bob:
            yield ann, bob


def test_a_caller_sees_its_own_files_and_batches_only(two_callers: tuple[httpx.Client, httpx.Client]) -> None:
    ann, bob = two_callers
    batch = wait_for_end(ann, begin(ann, line(1)))
    paths = [f"/v1/batches/{batch['id']}"]
    paths += [
        f"/v1/files/{batch[kind]}{rest}" for kind in ("input_file_id", "output_file_id") for rest in ("", "/content")
    ]
    assert [ann.get(path).status_code for path in paths] == [200] * 5
    assert [bob.get(path).status_code for path in paths] == [404] * 5
    assert [ids_of(bob.get(path)) for path in ("/v1/files", "/v1/batches")] == [[], []]
    assert bob.delete(paths[1]).status_code == 404
    assert bob.post(f"{paths[0]}/cancel").status_code == 404
    stolen = {"input_file_id": batch["input_file_id"], "endpoint": batch["endpoint"], "completion_window": "24h"}
    assert bob.post("/v1/batches", json=stolen).status_code == 404


def test_without_a_directory_there_are_no_such_addresses(address: str) -> None:
    assert [httpx.get(f"{address}/v1/{name}").status_code for name in ("files", "batches")] == [404, 404]
