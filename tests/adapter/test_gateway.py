import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest

from adapter.errors import GenerationFailed, ModelNotReady, Overloaded, UpstreamUnavailable, WorkerDied
from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.inference_client import InferenceClient
from adapter.model_registry import ModelRegistry
from adapter.schema import DeltaEvent, ErrorCode, GenerationResponse, StartEvent
from adapter.settings import Settings
from tests.fakes import FakeInference, FakeKeys, FakeManagement, FakeTorchServe, Turn, answer_to, serving, wait_for

START = StartEvent(id="request-1", model="tiny", model_version="1.0", prompt_tokens=3)
FIRST = DeltaEvent(index=0, text="Hello")
BODY = {"prompt": "Once"}


@pytest.fixture
async def client(inference: FakeInference, management: FakeManagement) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(max_body_bytes=1_000), inference=inference, registry=ModelRegistry(management, default_model=None)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


def events_of(answer: httpx.Response) -> list[str]:
    return [event.type for event in EventDecoder().feed(answer.content)]


# POST /generate


async def test_generate_answers_one_response(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json=BODY)
    assert answer.status_code == 200
    assert GenerationResponse.model_validate_json(answer.content).text == "Hello world"


async def test_the_users_own_request_shape_is_accepted(client: httpx.AsyncClient, inference: FakeInference) -> None:
    await client.post("/generate", json={"prompt": "Once", "max_length": 20, "temperature": 1})
    assert (inference.requests[0].max_length, inference.requests[0].temperature) == (20, 1.0)


async def test_a_failure_in_the_middle_is_still_a_status_of_a_unary_answer(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (502, "worker_died")


# POST /generate/stream


async def test_stream_sends_start_first_and_done_last(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate/stream", json=BODY)
    assert events_of(answer) == ["start", "delta", "delta", "done"]


async def test_events_that_came_together_are_all_sent(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [[START, FIRST, DeltaEvent(index=1, text="!")], WorkerDied("died")]
    assert events_of(await client.post("/generate/stream", json=BODY)) == ["start", "delta", "delta", "error"]


async def test_stream_headers_keep_proxies_from_holding_events_back(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/generate/stream", json=BODY)).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("script", [[Overloaded("full")], [START, Overloaded("full")]], ids=["at once", "after start"])
async def test_a_failure_before_the_first_text_is_a_true_status(
    client: httpx.AsyncClient, inference: FakeInference, script: list[object]
) -> None:
    inference.script = script
    answer = await client.post("/generate/stream", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_failure_after_the_first_text_is_the_one_last_event(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    answer = await client.post("/generate/stream", json=BODY, headers={"x-request-id": "request-1"})
    assert answer.status_code == 200
    assert events_of(answer) == ["start", "delta", "error"]
    problem = list(EventDecoder().feed(answer.content))[-1].problem
    assert (problem.code, problem.request_id) == (ErrorCode.WORKER_DIED, "request-1")


async def test_a_bug_after_the_first_text_is_a_last_event_too(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, LookupError("/home/secret")]
    answer = await client.post("/generate/stream", json=BODY)
    assert events_of(answer) == ["start", "delta", "error"]
    assert b"secret" not in answer.content


async def test_stream_refuses_a_bad_request_with_a_status(client: httpx.AsyncClient) -> None:
    assert (await client.post("/generate/stream", json={})).status_code == 422


# Problems


async def test_a_problem_is_problem_json_with_a_delay(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [ModelNotReady("loading")]
    answer = await client.post("/generate", json=BODY)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["retryable"] is True


async def test_a_problem_without_a_delay_has_no_header_for_it(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [GenerationFailed("no")]
    assert "retry-after" not in (await client.post("/generate", json=BODY)).headers


async def test_an_invalid_request_names_its_fields_in_words_and_in_data(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/generate", json={"temperature": "hot", "max_length": 0})).json()
    assert [error["field"] for error in problem["errors"]] == ["prompt", "max_length", "temperature"]
    assert problem["detail"].startswith("prompt: Field required; max_length: ")
    assert (problem["status"], problem["code"]) == (422, "invalid_request")


async def test_an_invalid_request_is_not_echoed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={"prompt": "p", "temperature": "my secret", "stop": ["s" * 300]})
    assert b"secret" not in answer.content
    assert b"sss" not in answer.content


async def test_an_endless_field_name_is_cut(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={"prompt": "p", "x" * 500: 1})
    assert answer.status_code == 422
    assert b"x" * 101 not in answer.content


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        pytest.param(b'{"prompt": ', "application/json", 400, "malformed_json", id="cut short"),
        pytest.param(b"\xff\xfe{}", "application/json", 400, "malformed_json", id="not UTF-8"),
        pytest.param(b"[" * 900, "application/json", 400, "malformed_json", id="deep"),
        pytest.param(b'{"prompt":"p","seed":1e999}', "application/json", 422, "invalid_request", id="infinite"),
        pytest.param(b'{"prompt":"p","temperature":NaN}', "application/json", 422, "invalid_request", id="NaN"),
        pytest.param(b'{"prompt":"\\ud800"}', "application/json", 422, "invalid_request", id="lone surrogate"),
        pytest.param(b'{"prompt":"p","seed":true}', "application/json", 422, "invalid_request", id="bool for int"),
        pytest.param(b'{"prompt":"p","model":"a/../b"}', "application/json", 422, "invalid_request", id="dot segment"),
        pytest.param(b'{"prompt":"p","model":"tiny\\n"}', "application/json", 422, "invalid_request", id="line feed"),
        pytest.param(b'"prompt"', "application/json", 422, "invalid_request", id="not an object"),
        pytest.param(b"", "application/json", 422, "invalid_request", id="empty"),
        pytest.param(b'{"prompt":"p"}', "text/plain", 415, "unsupported_media_type", id="text"),
        pytest.param(b'{"prompt":"p"}', "", 415, "unsupported_media_type", id="no content type"),
        pytest.param(b"prompt=p", "application/x-www-form-urlencoded", 415, "unsupported_media_type", id="form"),
        pytest.param(b" " * 1_001, "application/json", 413, "payload_too_large", id="announced too long"),
    ],
)
@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_refuses_a_body_with_the_right_problem(
    *,
    client: httpx.AsyncClient,
    inference: FakeInference,
    path: str,
    content: bytes,
    content_type: str,
    status: int,
    code: str,
) -> None:
    answer = await client.post(path, content=content, headers={"content-type": content_type} if content_type else {})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not inference.requests


async def test_a_number_of_too_many_digits_is_refused() -> None:
    # A limit of its own: Python's int() refuses it before any validation.
    app = create_app(Settings(), inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post(
            "/generate", content=b'{"seed":' + b"9" * 5_000 + b"}", headers={"content-type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def test_a_body_of_unknown_length_is_refused_while_it_is_read(client: httpx.AsyncClient) -> None:
    num_sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal num_sent
        while True:
            num_sent += 1
            yield b" " * 100

    answer = await client.post("/generate", content=endless(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert num_sent <= 11


@pytest.mark.parametrize("path", ["/", "/nothing", "/generate/nothing", "/models/a/b", "/generate/"])
async def test_an_unknown_address_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_wrong_method_is_a_problem_that_names_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/generate")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


async def test_a_bug_is_a_problem_that_says_nothing_of_it(client: httpx.AsyncClient, inference: FakeInference) -> None:
    inference.script = [LookupError("/home/secret")]
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert b"secret" not in answer.content


# Models and health


async def test_lists_the_models(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models")).json() == {
        "models": [
            {
                "name": "tiny",
                "default_version": "1.0",
                "versions": [{"version": "1.0", "is_default": True, "ready_workers": 1}],
            }
        ]
    }


async def test_describes_one_model(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models/tiny")).json()["default_version"] == "1.0"


@pytest.mark.parametrize("name", ["nobody", "%2E%2E", "a%0Ab", "token"])
async def test_an_unknown_model_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/models/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


async def test_lives_without_torchserve(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.failure = UpstreamUnavailable("down")
    assert (await client.get("/livez")).json() == {"status": "ok"}


async def test_is_ready_with_a_ready_worker(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).status_code == 200


async def test_is_not_ready_while_no_worker_is(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.served["tiny"]["1.0"] = 0
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_not_ready")


async def test_is_not_ready_without_torchserve(client: httpx.AsyncClient, management: FakeManagement) -> None:
    management.failure = UpstreamUnavailable("down")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")


async def test_docs_need_no_other_server(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    addresses = re.findall(r"""(?:src=|href=|url: )["']([^"']+)""", page)
    assert {"/openapi.json", "/docs/assets/swagger-ui-bundle.js"} < set(addresses)
    assert {address: (await client.get(address)).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    assert "http" not in page


async def test_asset_that_is_not_there_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/assets/nothing.js")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# Over real sockets


@pytest.fixture
def address(inference: FakeInference, management: FakeManagement) -> Iterator[str]:
    with serving(create_app(Settings(), inference=inference, registry=ModelRegistry(management, None))) as address:
        yield address


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
@pytest.mark.parametrize("script", [[wait_for_ever], [START, wait_for_ever]], ids=["at once", "after start"])
async def test_a_caller_who_leaves_before_the_answer_ends_the_generation(
    address: str, inference: FakeInference, path: str, script: list[object]
) -> None:
    inference.script = script
    async with httpx.AsyncClient(base_url=address) as client:
        asking = asyncio.create_task(client.post(path, json=BODY, timeout=None))
        await wait_for(lambda: inference.requests)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_for(inference.is_closed.is_set)


async def test_a_caller_who_leaves_in_mid_stream_ends_the_generation(address: str, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    async with httpx.AsyncClient(base_url=address) as client:
        async with client.stream("POST", "/generate/stream", json=BODY) as answer:
            await anext(answer.aiter_bytes())
        await wait_for(inference.is_closed.is_set)


async def test_events_arrive_before_the_answer_is_complete(address: str, inference: FakeInference) -> None:
    inference.script = [START, FIRST, wait_for_ever]
    async with (
        httpx.AsyncClient(base_url=address) as client,
        client.stream("POST", "/generate/stream", json=BODY) as answer,
    ):
        first = await anext(answer.aiter_bytes())
    assert [event.type for event in EventDecoder().feed(first)] == ["start", "delta"]


def gateway_over(torchserve: FakeTorchServe, management: FakeManagement) -> AbstractContextManager[str]:
    """The address of a gateway that talks to `torchserve` over real sockets."""
    settings = Settings(torchserve_url=torchserve.url)
    inference = InferenceClient(settings, FakeKeys(torchserve))
    return serving(create_app(settings, inference=inference, registry=ModelRegistry(management, default_model=None)))


async def test_leaving_closes_the_connection_to_torchserve(management: FakeManagement) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello")[:2])
        await turn.wait_until_the_caller_leaves()

    async with FakeTorchServe(play) as torchserve:
        with gateway_over(torchserve, management) as address:
            async with (
                httpx.AsyncClient(base_url=address) as client,
                client.stream("POST", "/generate/stream", json=BODY) as answer,
            ):
                await anext(answer.aiter_bytes())
            await wait_for(torchserve.turns[0].caller_left.is_set)


@pytest.mark.parametrize(
    "header", ["url_path", "explain", "ts_request_sequence_id", "Authorization", "X-Forwarded-For"]
)
async def test_a_callers_headers_never_reach_torchserve(management: FakeManagement, header: str) -> None:
    async with FakeTorchServe() as torchserve:
        with gateway_over(torchserve, management) as address:
            async with httpx.AsyncClient(base_url=address) as client:
                await client.post("/generate", json=BODY, headers={header: "hostile"})
        assert "hostile" not in torchserve.turns[0].http.headers.values()
