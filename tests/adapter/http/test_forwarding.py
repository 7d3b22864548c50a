import httpx
import pytest

from tests.adapter.gateway_calls import BODY, gateway_over
from tests.fakes import FakeManagement, FakeTorchServe


@pytest.mark.parametrize(
    "header", ["url_path", "explain", "ts_request_sequence_id", "Authorization", "X-Forwarded-For"]
)
async def test_a_callers_headers_never_reach_torchserve(management: FakeManagement, header: str) -> None:
    async with FakeTorchServe() as torchserve:
        with gateway_over(torchserve, management) as address:
            async with httpx.AsyncClient(base_url=address) as client:
                await client.post("/generate", json=BODY, headers={header: "hostile"})
        assert "hostile" not in torchserve.turns[0].http.headers.values()
