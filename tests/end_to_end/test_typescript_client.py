"""A TypeScript call through gateway, TorchServe and worker, and back."""

from pathlib import Path
from typing import Any

import pytest

from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.client_programs import NODE, compiled_client, run_program
from tests.end_to_end.observing import cpu_seconds, wait_until_idle

pytestmark = pytest.mark.torchserve


@pytest.fixture(scope="module")
def seen(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node program saw."""
    client = compiled_client(tmp_path_factory)
    program = Path(__file__).with_name("typescript_client.mjs")
    return run_program([NODE, program, client, gateway_url])


def test_snippet_of_the_users_guide_works_unchanged(seen: dict[str, Any]) -> None:
    assert seen["guide"]["text"].strip()
    assert 1 <= seen["guide"]["tokens_generated"] <= 100
    assert seen["guide"]["generation_time"] > 0


def test_stream_is_typed_events_from_start_to_done(seen: dict[str, Any]) -> None:
    start, *deltas, done = seen["events"]

    assert (start["type"], {delta["type"] for delta in deltas}, done["type"]) == ("start", {"delta"}, "done")
    assert done["response"]["text"] == "".join(delta["text"] for delta in deltas)


def test_failure_is_an_error_whose_message_ends_with_the_problems_detail(seen: dict[str, Any]) -> None:
    assert seen["refusal"] == {
        "isError": True,
        "message": "API error: prompt: String should have at least 1 character",
        "code": "invalid_request",
        "status": 422,
    }


def test_abort_throws_the_signals_reason_and_stops_the_decoding(
    seen: dict[str, Any], torchserve: TorchServeProcess
) -> None:
    assert seen["isAbortedWithItsReason"]
    wait_until_idle(lambda: cpu_seconds(torchserve))


def test_models_are_listed(seen: dict[str, Any]) -> None:
    assert set(seen["models"]) == {"tiny", "endless"}
