import logging
import re

import httpx
import pytest

from adapter.event_stream import EventDecoder
from adapter.schema import Problem
from tests.adapter.gateway_calls import BODY, gateway_over
from tests.adapter.http.raw_http import raw_answer
from tests.fakes import FakeManagement, FakeTorchServe, wait_for

ID = "abc-1_2.3"
MADE = re.compile("[0-9a-f]{32}")


async def test_one_id_is_in_all_that_belongs_to_a_request(
    management: FakeManagement, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapter.http.request_envelope")
    async with FakeTorchServe() as torchserve:
        with gateway_over(torchserve, management) as address:
            async with httpx.AsyncClient(base_url=address) as client:
                answer = await client.post("/generate/stream", json=BODY, headers={"x-request-id": ID})
            await wait_for(lambda: caplog.messages)
        start, *_, done = EventDecoder().feed(answer.content)
        assert torchserve.turns[0].request.id == answer.headers["x-request-id"] == start.id == done.response.id == ID
    assert [message.split()[0] for message in caplog.messages] == [ID]


async def test_a_problem_has_the_id_too(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "adapter")
    answer = await client.post("/generate", json={}, headers={"x-request-id": ID})
    assert Problem.model_validate_json(answer.content).request_id == answer.headers["x-request-id"] == ID
    assert {message.split()[0] for message in caplog.messages} == {ID}


async def test_without_an_id_each_request_has_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/livez")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(MADE.fullmatch(made) for made in ids)


@pytest.mark.parametrize(
    "header",
    [b"", b"a b", b"a/b", b"\xc3\xa9", b"x" * 65, b'"}\t{"', b"a\r\nX-Request-Id: b"],
    ids=["empty", "space", "slash", "not ASCII", "too long", "quotes", "two of them"],
)
def test_a_bad_id_is_replaced(address: str, header: bytes) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: gateway\r\nX-Request-Id: " + header + b"\r\n\r\n"
    answer, _ = raw_answer(address, request)
    assert answer.status == 200
    assert MADE.fullmatch(answer.headers["x-request-id"])
