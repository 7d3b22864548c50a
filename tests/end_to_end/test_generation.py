"""One prompt through gateway, TorchServe, worker and model, and back."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, ModelList, StreamEvent
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.gateway_calls import TIMEOUT, expect_problem, post, stream
from tests.project import PROJECT
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve

PROMPTS = [
    "Once upon a time",
    "The fox",
    "A",
    "Hello",
    "In a small village by the sea there lived a",
    "One day the old clock stopped and nobody",
    "Mia",
    "Why is the sky blue?",
]


def test_prompt_is_answered_with_every_field_of_the_contract(gateway_url: str) -> None:
    answer = requests.post(
        f"{gateway_url}/generate",
        json={"prompt": "Once upon a time"},
        headers={"x-request-id": "from-the-caller"},
        timeout=TIMEOUT,
    )
    response = GenerationResponse.model_validate_json(answer.content)

    assert answer.status_code == 200
    assert response.text.strip()
    assert (response.id, response.model, response.model_version) == ("from-the-caller", "tiny", "1.0")
    assert 1 <= response.tokens_generated <= 100
    assert response.generation_time > 0
    assert 0 <= response.queue_time <= response.time_to_first_token


def test_stream_is_start_then_several_deltas_then_done(gateway_url: str) -> None:
    def streamed() -> tuple[requests.Response, list[StreamEvent]]:
        asked = {"prompt": "Once upon a time", "max_length": 40, "seed": 1}
        with stream(gateway_url, {"cache-control": "no-store"}, **asked) as (response, events):
            return response, list(events)

    response, (start, *deltas, done) = seen_at_last(streamed, lambda seen: len(seen[1]) > 3)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert start.type == "start"
    assert start.id == response.headers["x-request-id"]
    assert len(deltas) > 1
    assert isinstance(done, DoneEvent)
    assert done.response.text == "".join(delta.text for delta in deltas if isinstance(delta, DeltaEvent))


def test_16_requests_that_start_at_different_times_get_what_generate_gives(gateway_url: str) -> None:
    directory = PROJECT / "models" / "tiny"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    lengths = [5, 60, 17, 33, 48, 9, 26, 41]
    tasks = [(f"{prompt}{' ' * (index // 8)}", lengths[index % 8]) for index, prompt in enumerate(PROMPTS * 2)]

    def expected(prompt: str, max_length: int) -> str:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_length)
        return tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)

    gate = threading.Semaphore(4)

    def answer(task: tuple[str, int]) -> str:
        prompt, max_length = task
        with gate, stream(gateway_url, prompt=prompt, max_length=max_length, temperature=0) as (_, events):
            next(events)
            gate.release()  # the next one starts when this one has begun to answer
            *_, done = events
            gate.acquire()
        assert isinstance(done, DoneEvent)
        return done.response.text

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(answer, tasks))

    assert answers == list(itertools.starmap(expected, tasks))


def test_request_that_ends_at_its_first_token_is_answered(gateway_url: str) -> None:
    assert post(gateway_url, prompt="Once", max_length=1).json()["tokens_generated"] == 1


def test_prompt_longer_than_the_context_is_a_true_status_also_on_a_stream(gateway_url: str) -> None:
    with stream(gateway_url, prompt="Once upon a time " * 2_000) as (response, _):
        problem = expect_problem(response, "prompt_too_long")

    assert problem.status == 422


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": ""}, "invalid_request"),
        ({"prompt": "a", "max_length": 0}, "invalid_request"),
        ({"prompt": "a", "model": "nobody"}, "model_not_found"),
        ({"prompt": "a", "model_version": "9"}, "version_not_found"),
    ],
    ids=["empty prompt", "no length", "unknown model", "unknown version"],
)
def test_request_that_cannot_be_answered_is_a_typed_problem(gateway_url: str, body: dict[str, Any], code: str) -> None:
    expect_problem(post(gateway_url, **body), code)


def test_one_bad_request_among_eight_changes_no_other_answer(gateway_url: str, torchserve: TorchServeProcess) -> None:
    def generate(prompt: str) -> str:
        return str(post(gateway_url, prompt=prompt, max_length=30, temperature=0).json()["text"])

    def send_bad(_: str) -> str:
        # Past the gateway, which would refuse it.
        return requests.post(
            f"{torchserve.properties['inference_address']}/predictions/tiny/1.0",
            data=b'{"prompt": 7}',
            headers={
                "authorization": f"Bearer {torchserve.keys.inference_key()}",
                "content-type": "application/json",
            },
            timeout=TIMEOUT,
        ).text

    alone = [generate(prompt) for prompt in PROMPTS[:7]]
    with ThreadPoolExecutor(8) as pool:
        bad = pool.submit(send_bad, "")
        together = list(pool.map(generate, PROMPTS[:7]))

    assert '"code":"invalid_request"' in bad.result()
    assert together == alone


def test_models_and_health_are_told(gateway_url: str) -> None:
    listed = ModelList.model_validate(requests.get(f"{gateway_url}/models", timeout=TIMEOUT).json())

    assert {(model.name, model.default_version, model.versions[0].ready_workers) for model in listed.models} == {
        ("tiny", "1.0", 1),
        ("endless", "1.0", 1),
    }
    for path in ("/livez", "/readyz", "/openapi.json", "/docs"):
        assert requests.get(f"{gateway_url}{path}", timeout=TIMEOUT).status_code == 200
