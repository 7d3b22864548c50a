"""Rows of a batch as TorchServe hands them over, and what is no request of the contract."""

from typing import Any

import pytest

from adapter.schema import ErrorCode
from handlers.incoming_request import RefusedRequest, caller_id, read_request

GOOD = {"id": "request-1", "prompt": "Once", "max_length": 5}


@pytest.mark.parametrize(
    "body", [GOOD, b'{"id": "request-1", "prompt": "Once", "max_length": 5}'], ids=["parsed", "raw"]
)
def test_request_of_the_contract_is_read_parsed_or_not(body: Any) -> None:
    request = read_request({"body": body})

    assert (request.id, request.prompt, request.max_length) == ("request-1", "Once", 5)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({}, id="no body"),
        pytest.param({"body": None}, id="nothing"),
        pytest.param({"body": 7}, id="a number"),
        pytest.param({"body": b"\xff"}, id="no UTF-8"),
        pytest.param({"body": "{"}, id="text that is no JSON"),
        pytest.param({"body": GOOD | {"prompt": 7}}, id="a wrong field"),
        pytest.param({"body": GOOD | {"tool_choice": "none"}}, id="a field of a newer gateway"),
        pytest.param({"body": GOOD | {"prompt": "\ud800"}}, id="half a character"),
    ],
)
def test_what_is_no_request_is_refused_without_its_text_in_the_log(
    row: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RefusedRequest) as refusal:
        read_request(row)

    assert refusal.value.code == ErrorCode.INVALID_REQUEST
    assert len(caplog.records) == 1
    assert "Once" not in caplog.text


def test_log_of_a_request_with_very_many_mistakes_is_short(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RefusedRequest):
        read_request({"body": GOOD | {"messages": [{}] * 10_000}})

    assert len(caplog.text) < 2_000


@pytest.mark.parametrize(
    "body", [GOOD | {"prompt": 7}, {"id": "request-1", "tools": []}, b'{"id": "request-1"}'], ids=str
)
def test_caller_is_known_also_where_the_rest_is_wrong(body: Any) -> None:
    assert caller_id({"body": body}) == "request-1"


@pytest.mark.parametrize("body", [None, b"{", [], {}, {"id": 7}, {"id": ""}, {"id": "\ud800"}], ids=ascii)
def test_nobody_is_known_where_there_is_no_id_that_an_event_can_hold(body: Any) -> None:
    assert caller_id({"body": body}) is None
