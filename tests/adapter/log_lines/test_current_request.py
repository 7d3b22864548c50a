import logging
from io import StringIO

import httpx
import pytest

from adapter.log_lines.current_request import trace_id_of
from adapter.log_lines.log_line import JsonFormatter, LogLine

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("traceparent", [TRACEPARENT, TRACEPARENT.replace("-01", "-00"), f"cc{TRACEPARENT[2:]}-later"])
def test_a_callers_trace_is_known(traceparent: str) -> None:
    assert trace_id_of(traceparent) == TRACE_ID


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "a b",
        TRACEPARENT.upper(),
        TRACEPARENT.replace(TRACE_ID, "0" * 32),
        TRACEPARENT.replace("00f067aa0ba902b7", "0" * 16),
        f"ff{TRACEPARENT[2:]}",
        f"{TRACEPARENT}\n",
    ],
)
def test_what_is_none_is_not(traceparent: str | None) -> None:
    assert trace_id_of(traceparent) is None


@pytest.fixture
def lines() -> StringIO:
    return StringIO()


async def test_each_line_of_a_request_has_its_ids(client: httpx.AsyncClient, lines: StringIO) -> None:
    handler, log = logging.StreamHandler(lines), logging.getLogger("adapter")
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        answer = await client.post(
            "/generate", json={"prompt": 1}, headers={"x-request-id": "mine", "traceparent": TRACEPARENT}
        )
    finally:
        log.setLevel(logging.NOTSET)
        log.removeHandler(handler)
    refusal, end = [LogLine.model_validate_json(line) for line in lines.getvalue().splitlines()]
    assert {(line.request_id, line.trace_id) for line in (refusal, end)} == {("mine", TRACE_ID)}
    assert "invalid_request" in refusal.message
    assert (end.caller, end.method, end.path, end.status) == ("anonymous", "POST", "/generate", answer.status_code)
    assert end.address == "127.0.0.1"
    assert end.seconds is not None
