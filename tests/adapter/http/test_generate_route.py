import httpx
import pytest

from adapter.errors import WorkerDied
from adapter.schema import GenerationResponse
from tests.adapter.gateway_calls import BODY, FIRST, START
from tests.fakes import FakeInference


async def test_generate_answers_one_response(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json=BODY)
    assert answer.status_code == 200
    assert GenerationResponse.model_validate_json(answer.content).text == "Hello world"


async def test_the_users_own_request_shape_is_accepted(client: httpx.AsyncClient, inference: FakeInference) -> None:
    await client.post("/generate", json={"prompt": "Once", "max_length": 20, "temperature": 1})
    assert (inference.requests[0].max_length, inference.requests[0].temperature) == (20, 1.0)


@pytest.mark.parametrize(("stop", "taken"), [("end", ("end",)), (["a", "b"], ("a", "b"))], ids=["text", "list"])
async def test_one_stop_string_needs_no_list(
    client: httpx.AsyncClient, inference: FakeInference, stop: object, taken: tuple[str, ...]
) -> None:
    assert (await client.post("/generate", json=BODY | {"stop": stop})).status_code == 200
    assert inference.requests[0].stop == taken


async def test_a_failure_in_the_middle_is_still_a_status_of_a_unary_answer(
    client: httpx.AsyncClient, inference: FakeInference
) -> None:
    inference.script = [START, FIRST, WorkerDied("died")]
    answer = await client.post("/generate", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (502, "worker_died")
