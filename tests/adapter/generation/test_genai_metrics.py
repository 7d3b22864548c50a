"""OpenTelemetry's histograms, through the gateway's own generator."""

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from adapter.errors import GenerationFailed
from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

NAMES = {"gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds"}
CHAT = {"messages": [{"role": "user", "content": "Once"}]}


def counted(client: httpx.Client) -> dict[str, dict[tuple[str, str, str], float]]:
    """How many were observed, by histogram and by operation, model and error."""
    found: dict[str, dict[tuple[str, str, str], float]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("gen_ai_") and sample.name.endswith("_count"):
                labels = sample.labels
                assert labels["gen_ai_provider_name"] == "torchbridge"
                assert labels["gen_ai_request_model"] == labels["gen_ai_response_model"]
                key = (labels["gen_ai_operation_name"], labels["gen_ai_response_model"], labels.get("error_type", ""))
                found.setdefault(family.name, {})[key] = sample.value
    return found


def client_of(inference: FakeInference) -> TestClient:
    registry = ModelRegistry(FakeManagement(), None)
    return TestClient(create_app(Settings(), inference=inference, registry=registry), base_url="http://localhost")


def test_answers_are_counted_by_what_was_asked_for() -> None:
    with client_of(FakeInference()) as client:
        client.post("/generate", json={"prompt": "Once"}).raise_for_status()
        client.post("/v1/chat/completions", json=CHAT | {"model": "tiny"}).raise_for_status()
        found = counted(client)
    assert {"gen_ai_server_time_per_output_token_seconds", *NAMES} <= found.keys()
    for name in NAMES:
        assert found[name] == {("text_completion", "tiny", ""): 1, ("chat", "tiny", ""): 1}


def test_a_failure_has_its_type_and_no_times_of_tokens() -> None:
    with client_of(FakeInference([GenerationFailed("no")])) as client:
        assert not client.post("/generate", json={"prompt": "Once"}).is_success
        found = counted(client)
    assert found == {"gen_ai_server_request_duration_seconds": {("text_completion", "tiny", "generation_failed"): 1}}


def test_what_callers_name_makes_no_series() -> None:
    with client_of(FakeInference()) as client:
        for number in range(3):
            assert not client.post("/generate", json={"prompt": "Once", "model": f"absent-{number}"}).is_success
        found = counted(client)
    assert found == {"gen_ai_server_request_duration_seconds": {("text_completion", "", "model_not_found"): 3}}


@pytest.mark.parametrize("is_cached", [True, False])
def test_an_answer_of_the_cache_has_no_times_of_tokens(*, is_cached: bool) -> None:
    with client_of(FakeInference()) as client:
        for _ in range(2):
            headers = {} if is_cached else {"cache-control": "no-cache"}
            client.post("/generate", json={"prompt": "Once", "temperature": 0}, headers=headers).raise_for_status()
        found = counted(client)
    assert found["gen_ai_server_request_duration_seconds"] == {("text_completion", "tiny", ""): 2}
    expected = 1 if is_cached else 2
    assert found["gen_ai_server_time_to_first_token_seconds"] == {("text_completion", "tiny", ""): expected}
