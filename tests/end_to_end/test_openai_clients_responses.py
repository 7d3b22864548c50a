"""/v1/responses by published clients of OpenAI's, unmodified: over a scripted model, and on the real stack."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.client_programs import NODE, run_program
from tests.end_to_end.test_openai_clients import (
    DETAILS as DETAILS_OF_CHATS,
)
from tests.end_to_end.test_openai_clients import (
    OPENAI_ERRORS,
    PROGRAMS,
    STATUSES,
    scripted_gateway,
)
from tests.end_to_end.test_openai_clients_tools import is_dog
from tests.seeing import seen_at_last

__all__ = ["scripted_gateway"]

CLIENTS: dict[str, list[str | Path]] = {
    "openai Python": [sys.executable, PROGRAMS / "openai_python_responses.py"],
    "openai npm 7": [NODE, PROGRAMS / "openai-node-responses.mjs", "openai-7"],
    "openai npm 6": [NODE, PROGRAMS / "openai-node-responses.mjs", "openai-6"],
}
DETAILS = DETAILS_OF_CHATS | {"invalid_request": "previous_response_id: This server keeps no responses"}


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def seen(client: str, scripted_gateway: str) -> dict[str, Any]:
    return run_program([*CLIENTS[client], scripted_gateway, "tiny", "with failures"])


def test_client_gets_a_text_and_its_pieces(seen: dict[str, Any]) -> None:
    assert (seen["text"], seen["pieces"]) == ("Hello world", ["Hello", " world"])


@pytest.mark.parametrize("code", DETAILS)
def test_failure_is_the_clients_own_error_with_our_detail(seen: dict[str, Any], code: str) -> None:
    failure = seen[code]
    assert (failure["name"], failure["code"]) == (OPENAI_ERRORS[code], code)
    assert DETAILS[code] in failure["text"]
    assert failure.get("status") == STATUSES[code]


def test_abort_ends_the_generation_while_the_client_lives_on(seen: dict[str, Any]) -> None:
    assert seen["after_departure"] == "Hello world"


@pytest.mark.torchserve
def test_client_gets_objects_and_loops_through_tools_on_the_real_stack(client: str, gateway_url: str) -> None:
    command = [*CLIENTS[client], gateway_url, "tiny"]
    seen = seen_at_last(lambda: run_program(command), lambda seen: len(seen["pieces"]) > 1)

    assert len(seen["pieces"]) > 1
    assert is_dog(seen["dog"])
    assert seen["deltas"] == "".join(seen["arguments"])
    [arguments], [result] = seen["arguments"], seen["results"]
    assert result == f"{json.loads(arguments)['days']} fine days"
    assert seen["text"]
    assert seen["status"] in {"completed", "incomplete"}
