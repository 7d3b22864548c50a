import json
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai.types
import pytest

from adapter.call import Call
from adapter.errors import Overloaded
from adapter.schema import GenerationRequest, StreamEvent
from tests.adapter.batches.batch_calls import (
    CHATS,
    EchoInference,
    batch_gateway,
    begin,
    line,
    lines_of,
    state_of,
    text_of,
    upload,
    wait_for_end,
)
from tests.fakes import FakeManagement
from tests.waiting import wait_until

AT_ONCE = 16  # requests of batches that run, by default


def counts(batch: dict[str, Any]) -> tuple[int, int, int]:
    return tuple(batch["request_counts"][name] for name in ("total", "completed", "failed"))


def test_each_request_has_its_answer_in_the_order_of_the_lines(gateway: httpx.Client) -> None:
    begun = begin(gateway, *(line(number) for number in range(300)), metadata={"for": "a test"})
    batch = wait_for_end(gateway, begun)
    parsed = openai.types.Batch.model_validate(batch)
    assert parsed.to_dict(exclude_unset=True) == batch
    assert (batch["status"], counts(batch), batch["metadata"]) == ("completed", (300, 300, 0), {"for": "a test"})
    assert (batch["model"], batch["usage"]["total_tokens"], batch["error_file_id"]) == ("tiny", 300 * 4, None)
    answered = lines_of(gateway, batch["output_file_id"])
    assert [each["custom_id"] for each in answered] == [f"request-{number}" for number in range(300)]
    assert [text_of(each) for each in answered] == [f"question {number}" for number in range(300)]
    assert {each["response"]["status_code"] for each in answered} == {200}


BODIES = {
    "/v1/completions": {"prompt": ["one", "two"]},
    CHATS: {"messages": [{"role": "user", "content": "one"}], "n": 2},
    "/v1/responses": {"model": "tiny", "input": "one"},
}


@pytest.mark.parametrize("endpoint", BODIES)
def test_an_answer_is_that_of_a_live_call(gateway: httpx.Client, endpoint: str) -> None:
    batch = wait_for_end(gateway, begin(gateway, line(1, url=endpoint, body=BODIES[endpoint]), endpoint=endpoint))
    [answered] = lines_of(gateway, batch["output_file_id"])
    live = gateway.post(endpoint, json=BODIES[endpoint]).json()

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: timeless(each)
                for name, each in value.items()
                if name not in {"id", "created"} and name[-3:] != "_at"
            }
        return [timeless(each) for each in value] if isinstance(value, list) else value

    assert timeless(answered["response"]["body"]) == timeless(live)


def test_a_request_that_fails_for_good_is_a_line_of_the_error_file(gateway: httpx.Client) -> None:
    batch = wait_for_end(gateway, begin(gateway, line(1), line(2, "fail here"), line(3)))
    assert (batch["status"], counts(batch)) == ("completed", (3, 2, 1))
    assert [each["custom_id"] for each in lines_of(gateway, batch["output_file_id"])] == ["request-1", "request-3"]
    [failed] = lines_of(gateway, batch["error_file_id"])
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("request-2", 502)
    assert failed["response"]["body"]["error"]["code"] == "generation_failed"


WRONG_LINES: dict[str, tuple[bytes, str, str | None]] = {
    "no JSON": (b"{", "invalid_json_line", None),
    "a list": (b"[]", "invalid_json_line", None),
    "no custom_id": (json.dumps({**line(2), "custom_id": None}).encode(), "invalid_request", "custom_id"),
    "a custom_id twice": (json.dumps(line(1)).encode(), "duplicate_custom_id", "custom_id"),
    "another method": (json.dumps(line(2, method="GET")).encode(), "invalid_request", "method"),
    "another endpoint": (json.dumps(line(2, url="/v1/completions")).encode(), "mismatched_url", "url"),
    "a wrong body": (json.dumps(line(2, body={"messages": []})).encode(), "invalid_request", "body.messages"),
    "a stream": (
        json.dumps(line(2, body=line(2)["body"] | {"stream": True})).encode(),
        "invalid_request",
        "body.stream",
    ),
    "no such model": (
        json.dumps(line(2, body=line(2)["body"] | {"model": "gone"})).encode(),
        "model_not_found",
        "body",
    ),
    "too long": (json.dumps(line(2, "x" * 2_000)).encode(), "line_too_long", None),
}


@pytest.mark.parametrize("wrong", WRONG_LINES)
def test_a_wrong_line_is_named_before_the_first_token(tmp_path: Path, echo: EchoInference, wrong: str) -> None:
    content, code, field = WRONG_LINES[wrong]
    with batch_gateway(tmp_path, echo, max_body_bytes=1_000) as gateway:
        right = json.dumps(line(1)).encode()
        file_id = upload(gateway, right + b"\n\n" + content + b"\n").json()["id"]
        request = {"input_file_id": file_id, "endpoint": CHATS, "completion_window": "24h"}
        batch = wait_for_end(gateway, gateway.post("/v1/batches", json=request).json())
    assert batch["status"] == "failed"
    [error] = batch["errors"]["data"]
    assert (error["line"], error["code"], error["param"]) == (3, code, field)
    assert not echo.asked


def test_a_file_without_lines_and_one_with_too_many_fail(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo, batch_max_lines=2) as gateway:
        ended = [wait_for_end(gateway, begin(gateway, *map(line, range(number)))) for number in (0, 2, 3)]
    assert [batch["status"] for batch in ended] == ["failed", "completed", "failed"]
    assert [batch["errors"]["data"][0]["code"] for batch in ended[::2]] == ["empty_file", "too_many_lines"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"input_file_id": "file-none"}, 404),
        ({"endpoint": "/v1/embeddings"}, 422),
        ({"completion_window": "24"}, 422),
        ({"completion_window": "31d"}, 422),
        ({"metadata": {"key": "v" * 513}}, 422),
    ],
)
def test_what_no_batch_can_be_made_of_is_refused(gateway: httpx.Client, changed: dict[str, Any], status: int) -> None:
    file_id = upload(gateway, b"{}").json()["id"]
    request = {"input_file_id": file_id, "endpoint": CHATS, "completion_window": "24h"} | changed
    answer = gateway.post("/v1/batches", json=request)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_cancelled_batch_keeps_what_was_answered(gateway: httpx.Client, echo: EchoInference) -> None:
    echo.is_held = True
    begun = begin(gateway, *map(line, range(20)))
    wait_until(lambda: len(echo.order) == AT_ONCE)
    assert gateway.delete(f"/v1/files/{begun['input_file_id']}").status_code == 409
    assert gateway.post(f"/v1/batches/{begun['id']}/cancel").json()["status"] in {"cancelling", "cancelled"}
    batch = wait_for_end(gateway, begun)
    assert (batch["status"], counts(batch), batch["output_file_id"]) == ("cancelled", (20, 0, 0), None)
    errors = lines_of(gateway, batch["error_file_id"])
    assert [each["error"]["code"] for each in errors] == ["batch_cancelled"] * 20
    assert len(echo.order) == AT_ONCE
    assert gateway.post(f"/v1/batches/{begun['id']}/cancel").status_code == 409
    assert gateway.delete(f"/v1/files/{begun['input_file_id']}").status_code == 200


def test_batches_are_listed_page_by_page(gateway: httpx.Client) -> None:
    ids = [wait_for_end(gateway, begin(gateway, line(1)))["id"] for _ in range(3)]
    page = gateway.get("/v1/batches", params={"limit": 2}).json()
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    rest = gateway.get("/v1/batches", params={"limit": 2, "after": page["last_id"]}).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[:1], False)


def test_a_small_batch_has_its_turns_beside_a_large_one(gateway: httpx.Client, echo: EchoInference) -> None:
    echo.is_held = True
    large = begin(gateway, *map(line, range(100)))
    wait_until(lambda: len(echo.order) == AT_ONCE)
    small = begin(gateway, line(1, "small"))
    wait_until(lambda: state_of(gateway, small)["status"] == "in_progress")
    echo.is_held = False
    wait_for_end(gateway, large)
    assert echo.order.index("small") < 50


def test_a_batch_whose_model_is_away_keeps_no_other_one_waiting(tmp_path: Path, echo: EchoInference) -> None:
    management = FakeManagement({"tiny": {"1.0": 1}, "away": {"1.0": 0}})
    with batch_gateway(tmp_path, echo, management) as gateway:
        away = begin(gateway, *(line(number, body={**line(number)["body"], "model": "away"}) for number in range(10)))
        wait_until(lambda: state_of(gateway, away)["status"] == "in_progress")
        assert counts(wait_for_end(gateway, begin(gateway, line(1)))) == (1, 1, 0)
        assert state_of(gateway, away)["status"] == "in_progress"


def test_a_live_call_is_admitted_before_all_that_batches_have_waiting(tmp_path: Path, echo: EchoInference) -> None:
    management = FakeManagement(slots=1)
    with batch_gateway(tmp_path, echo, management, batch_max_running=3) as gateway:
        echo.is_held = True
        batch = begin(gateway, *map(line, range(6)))
        wait_until(lambda: len(echo.order) == 1)
        with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=gateway.base_url) as live:
            asked = pool.submit(live.post, "/v1/completions", json={"prompt": "live"})
            wait_until(lambda: b"torchbridge_waiting_requests 1.0" in gateway.get("/metrics").content)
            echo.is_held = False
            assert asked.result().status_code == 200
        wait_for_end(gateway, batch)
    assert echo.order.index("live") == 1


def test_a_failure_that_a_live_call_would_get_is_waited_out(tmp_path: Path) -> None:
    class Recovering(EchoInference):
        has_failed = False

        async def stream(self, request: GenerationRequest, call: Call) -> AsyncGenerator[list[StreamEvent], None]:
            if not self.has_failed:
                self.has_failed = True
                raise Overloaded("The model's queue is full.")
            async for events in super().stream(request, call):
                yield events

    with batch_gateway(tmp_path, Recovering()) as gateway:
        batch = wait_for_end(gateway, begin(gateway, line(1)))
    assert (batch["status"], counts(batch)) == ("completed", (1, 1, 0))


def test_a_batch_leaves_its_caller_the_rate_of_live_calls(tmp_path: Path, echo: EchoInference) -> None:
    with batch_gateway(tmp_path, echo, rate_limit="1/day") as gateway:
        assert wait_for_end(gateway, begin(gateway, *map(line, range(5))))["request_counts"]["completed"] == 5
        statuses = [gateway.post("/v1/completions", json={"prompt": "Once"}).status_code for _ in range(2)]
    assert statuses == [200, 429]
