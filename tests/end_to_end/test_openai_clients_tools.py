"""Objects and tools by published clients of OpenAI's API, unmodified, on the real stack."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.client_programs import NODE, compiled_client, run_program
from tests.end_to_end.test_openai_clients import PROGRAMS

AI_PACKAGES = {"ai 7": ["ai-7", "@ai-sdk/openai-compatible-3"], "ai 6": ["ai-6", "@ai-sdk/openai-compatible-2"]}
OWN_PROVIDERS = {"ai 7": ["ai-7", "createTorchbridge"], "ai 6": ["ai-6", "createTorchbridgeV3"]}
TIME = re.compile(r"[0-2][0-9]:[0-5][0-9]")


def is_dog(value: Any) -> bool:
    return set(value) == {"name", "size"} and len(value["name"]) <= 8 and value["size"] in {"small", "large"}


@pytest.mark.torchserve
@pytest.mark.parametrize("packages", AI_PACKAGES.values(), ids=AI_PACKAGES)
def test_the_ai_sdk_gets_objects_and_loops_through_tools(packages: list[str], gateway_url: str) -> None:
    check_ai_sdk([*packages, gateway_url, "tiny"])


@pytest.mark.torchserve
@pytest.mark.parametrize(("package", "create"), OWN_PROVIDERS.values(), ids=OWN_PROVIDERS)
def test_the_ai_sdk_does_so_by_our_own_provider(
    package: str, create: str, gateway_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    door = compiled_client(tmp_path_factory).with_name("ai-sdk.js")
    check_ai_sdk([package, door, gateway_url, "tiny", create])


def check_ai_sdk(arguments: Sequence[str | Path]) -> None:
    seen = run_program([NODE, PROGRAMS / "ai-sdk-tools.mjs", *arguments])

    assert is_dog(seen["object"])
    assert is_dog(seen["streamed_object"]["object"])
    assert seen["streamed_object"]["last"] == seen["streamed_object"]["object"]
    assert seen["streamed_object"]["partial"] > 0
    assert [[call["name"] for call in calls] for calls in seen["steps"]] == [["weather"], ["remind"], []]
    for ran in (seen["ran"], seen["streamed_ran"]):
        weather, remind = ran
        assert (weather["name"], set(weather["input"])) == ("weather", {"city"})
        assert remind["name"] == "remind"
        assert TIME.fullmatch(remind["input"]["at"])
    assert seen["text"]
    assert seen["streamed_text"]


@pytest.fixture(scope="module")
def seen_by_langchain(gateway_url: str) -> dict[str, Any]:
    return run_program([sys.executable, PROGRAMS / "langchain_tools.py", gateway_url, "tiny"])


@pytest.mark.torchserve
@pytest.mark.parametrize("api", ["chats", "responses"])
def test_langchain_gets_objects_and_calls_tools(api: str, seen_by_langchain: dict[str, Any]) -> None:
    seen = seen_by_langchain[api]
    assert is_dog(seen["by_schema"])
    assert is_dog(seen["by_tool"])
    [call], [result] = seen["calls"], seen["results"]
    assert call["name"] == "weather"
    assert result == f"{call['input']['days']} fine days"
    assert seen["text"]


@pytest.mark.torchserve
@pytest.mark.parametrize("package", ["openai-7", "openai-6"])
def test_openai_npm_gets_objects_and_runs_tools(package: str, gateway_url: str) -> None:
    seen = run_program([NODE, PROGRAMS / "openai-node-tools.mjs", package, gateway_url, "tiny"])

    assert is_dog(seen["object"])
    [ran] = seen["ran"]
    assert ran["input"]["days"] in {1, 2, 3}
    assert seen["roles"][:3] == ["user", "assistant", "tool"]
    assert seen["text"]


@pytest.mark.torchserve
@pytest.mark.parametrize("package", ["ai-7", "ai-6"])
def test_what_use_chat_stands_on_talks_to_the_gateway_itself(package: str, gateway_url: str) -> None:
    seen = run_program([NODE, PROGRAMS / "ui-message-stream.mjs", package, gateway_url, "tiny"])

    assert seen["call"]["state"] == "input-available"
    assert set(seen["call"]["input"]) == {"city"}
    assert seen["metadata"]["model"] == "tiny"
    [text] = seen["text"]
    assert text
    assert seen["pieces"] > 1
    assert seen["failure"] == "model_not_found"
