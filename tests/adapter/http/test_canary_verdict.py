"""GET /canary/verdict of one gateway, for an engine that changes hosts."""

import pytest

from adapter.errors import GenerationFailed
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.adapter.http.canary_gateway import ASKED, Gateway
from tests.fakes import FakeManagement

KEY, OPERATOR_KEY = "canary-0123456789-abc", "canary-9876543210-xyz"


@pytest.fixture(autouse=True)
def _nothing_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.control.canary_routes.CANARY_SECONDS", 3_600.0)


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})


@pytest.fixture
def inference() -> ScriptedVersions:
    return ScriptedVersions()


@pytest.fixture
def gateway(inference: ScriptedVersions, management: FakeManagement) -> Gateway:
    return Gateway(inference, management)


async def test_before_it_is_sure_it_says_go_on_and_what_is_not_known(gateway: Gateway) -> None:
    canary_id = await gateway.begin()
    verdict = await gateway.verdict()
    assert (verdict["verdict"], verdict["undecided"]) == ("go on", ["failures"])
    assert (verdict["id"], verdict["model"]) == (canary_id, "tiny")
    assert verdict["canary"] == {"version": "2.0", "requests": 0, "failures": 0}
    assert verdict["control"] == {"version": "1.0", "requests": 0, "failures": 0}
    rule = {name: verdict[name] for name in ("margin", "min_requests", "alpha", "max_slowdown")}
    assert rule == {name: ASKED[name] for name in rule}


async def test_what_does_not_fail_may_be_promoted(gateway: Gateway) -> None:
    await gateway.begin()
    await gateway.generate(100)
    verdict = await gateway.verdict()
    assert (verdict["verdict"], verdict["undecided"]) == ("promote", [])
    assert verdict["canary"]["requests"] + verdict["control"]["requests"] == 100
    assert (verdict["first_token"], verdict["per_token"]) == (None, None)


async def test_what_fails_is_to_be_given_up(gateway: Gateway, inference: ScriptedVersions) -> None:
    inference.scripts["2.0"] = [GenerationFailed("no")]
    await gateway.begin()
    await gateway.generate(60)
    verdict = await gateway.verdict()
    assert verdict["verdict"] == "give up"
    assert verdict["canary"]["failures"] == verdict["canary"]["requests"] > 0


async def test_pairs_are_told_where_times_are_compared(gateway: Gateway) -> None:
    await gateway.begin(max_slowdown=1e9)
    await gateway.generate(40)
    verdict = await gateway.verdict()
    for pairs in (verdict["first_token"], verdict["per_token"]):
        assert pairs["pairs"] > 0
        assert pairs["slower"] == 0


async def test_without_redis_it_is_that_of_this_gateway_and_it_says_so(gateway: Gateway) -> None:
    await gateway.begin()
    verdict = await gateway.verdict()
    assert (verdict["scope"], verdict["gateways"]) == ("gateway", 1)


@pytest.mark.parametrize("model", ["tiny", "other"])
async def test_without_a_canary_there_is_none(gateway: Gateway, model: str) -> None:
    canary_id = await gateway.begin()
    await gateway.end(canary_id)
    answer = await gateway.public.get("/canary/verdict", params={"model": model})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert f"No canary of '{model}' runs" in answer.json()["detail"]


async def test_a_name_that_is_none_is_refused(gateway: Gateway) -> None:
    answer = await gateway.public.get("/canary/verdict", params={"model": 129 * "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_the_model_has_to_be_named_where_there_are_several(gateway: Gateway, management: FakeManagement) -> None:
    management.served["other"] = {"1.0": 1}
    assert (await gateway.public.get("/canary/verdict")).json()["errors"][0]["field"] == "model"
    await gateway.begin()
    assert (await gateway.verdict(model="tiny"))["model"] == "tiny"


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param(None, 401, id="no key"),
        pytest.param(KEY, 403, id="a caller's"),
        pytest.param(OPERATOR_KEY, 404, id="an operator's"),
    ],
)
async def test_it_takes_an_operators_key(
    inference: ScriptedVersions, management: FakeManagement, key: str | None, status: int
) -> None:
    gateway = Gateway(inference, management, api_keys=KEY, operator_keys=OPERATOR_KEY)
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    assert (await gateway.public.get("/canary/verdict", headers=headers)).status_code == status
