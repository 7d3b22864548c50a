import httpx
import pytest

from adapter.gateway import create_app
from adapter.http.call_parameters import CallParameters
from adapter.settings import Settings
from tests.adapter.gateway_calls import BODY, FIRST, START, events_of, wait_for_ever
from tests.fakes import FakeInference
from tests.held_clock import HeldClock


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_a_request_that_outlasts_its_own_timeout_is_a_true_status(
    client: httpx.AsyncClient, inference: FakeInference, clock: HeldClock, path: str
) -> None:
    async def outlast() -> None:
        clock.move(9)
        await wait_for_ever()

    inference.script = [START, outlast]
    answer = await client.post(path, json=BODY, headers={"x-request-timeout": "9"})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert inference.is_closed.is_set()


async def test_a_stream_that_outlasts_its_timeout_ends_with_an_error(
    client: httpx.AsyncClient, inference: FakeInference, clock: HeldClock
) -> None:
    async def outlast() -> None:
        clock.move(9)
        await wait_for_ever()

    inference.script = [START, FIRST, outlast]
    answer = await client.post("/generate/stream", json=BODY, headers={"x-request-timeout": "9"})
    assert events_of(answer) == ["start", "delta", "error"]


async def test_the_first_text_has_a_limit_of_its_own(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [START, wait_for_ever]
    answer = await client.post("/generate", json=BODY, headers={"x-first-token-timeout": "0.05"})
    assert answer.json()["detail"] == "There was no text within 0.05 seconds."


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e999", "soon", "", "100000"])
@pytest.mark.parametrize("header", ["x-request-timeout", "x-first-token-timeout"])
async def test_a_timeout_that_is_none_is_refused(client: httpx.AsyncClient, header: str, value: str) -> None:
    answer = await client.post("/generate", json=BODY, headers={header: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, header)


@pytest.mark.parametrize(("asked_for", "seconds"), [({}, 200_000), ({"x-request-timeout": "9"}, 9)], ids=str)
async def test_the_operators_own_limit_may_be_longer_than_any_that_is_asked_for(
    asked_for: dict[str, str], seconds: float
) -> None:
    app = create_app(Settings(request_timeout=200_000))

    @app.get("/time")
    async def time(call: CallParameters) -> float:
        return call.deadline - call.received_at

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert (await client.get("/time", headers=asked_for)).json() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        pytest.param({}, [False, False], id="none"),
        pytest.param({"x-request-timeout": "9"}, [True, False], id="for the answer"),
        pytest.param({"x-first-token-timeout": "9"}, [False, True], id="for the first text"),
        pytest.param({"x-request-timeout": "9000", "x-first-token-timeout": "9000"}, [False, False], id="longer ones"),
    ],
)
async def test_a_limit_is_the_callers_where_it_is_the_one_that_holds(
    headers: dict[str, str], asked: list[bool]
) -> None:
    app = create_app(Settings())

    @app.get("/asked")
    async def of_caller(call: CallParameters) -> list[bool]:
        return [deadline in call.asked_deadlines for deadline in (call.deadline, call.first_text_deadline)]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert (await client.get("/asked", headers=headers)).json() == asked


@pytest.mark.parametrize("value", ["no-cache", "no-store", "max-age=0, No-Cache"])
async def test_a_caller_may_ask_for_a_fresh_answer(
    client: httpx.AsyncClient, inference: FakeInference, value: str
) -> None:
    for _ in range(2):
        answer = await client.post("/generate", json=BODY | {"seed": 1}, headers={"cache-control": value})
        assert answer.json()["cached"] is False
    assert len(inference.requests) == 2


@pytest.mark.parametrize("user", ["", "a" * 257, "\u00e9", "tab\there"], ids=repr)
async def test_a_user_that_is_no_short_printable_text_is_refused(client: httpx.AsyncClient, user: str) -> None:
    answer = await client.post("/generate", json=BODY, headers={"x-user": user.encode("latin-1")})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "x-user")


@pytest.mark.parametrize("user", ["a", "a" * 256, "Somebody, somewhere <a@b.c>"], ids=repr)
async def test_any_other_user_is_taken(client: httpx.AsyncClient, user: str) -> None:
    assert (await client.post("/generate", json=BODY, headers={"x-user": user})).status_code == 200
