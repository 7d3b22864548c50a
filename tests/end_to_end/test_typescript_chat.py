"""Chats, tools and their objects by the TypeScript client, through gateway, TorchServe and worker."""

from typing import Any

import pytest

from tests.end_to_end.client_programs import compiled_client, run_with_zod

pytestmark = pytest.mark.torchserve

CITIES = {"ROME", "BONN"}


@pytest.fixture(scope="module")
def seen(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node program saw."""
    return run_with_zod("typescript_chat.mjs", gateway_url, compiled_client(tmp_path_factory))


def test_answer_tells_its_version_and_its_number_of_tokens(seen: dict[str, Any]) -> None:
    assert seen["text"]["model"] == "tiny@1.0"
    assert 1 <= seen["text"]["usage"]["completionTokens"] <= 8
    assert seen["text"]["message"] == {"role": "assistant", "content": seen["text"]["text"]}


def test_call_comes_whole_with_the_arguments_that_the_schema_makes(seen: dict[str, Any]) -> None:
    assert [event["type"] for event in seen["events"]] == ["start", "tool_call", "done"]
    call = seen["events"][1]["call"]
    assert call["name"] == "weather"
    assert call["arguments"]["city"] in CITIES
    assert seen["events"][2]["answer"]["toolCalls"] == [call]
    assert seen["events"][2]["answer"]["finishReason"] == "tool_calls"


def test_conversation_goes_on_from_the_message_and_the_results(seen: dict[str, Any]) -> None:
    assert seen["next"]["toolCalls"] == []
    assert seen["next"]["usage"]["promptTokens"] > seen["text"]["usage"]["promptTokens"]


def test_call_that_is_not_whole_is_an_error(seen: dict[str, Any]) -> None:
    assert seen["truncated"] == {"isInvalid": True, "tool": "note", "cause": "ObjectTruncatedError"}


def test_object_of_a_chat_is_what_the_schema_makes_of_it(seen: dict[str, Any]) -> None:
    assert seen["object"]["city"] in CITIES


def test_failure_is_the_gateways(seen: dict[str, Any]) -> None:
    assert seen["refusal"] == {"code": "model_not_found", "status": 404}
