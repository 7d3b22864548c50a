"""The AI SDK with the TypeScript client's own provider, through gateway, TorchServe and worker."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.client_programs import NODE, compiled_client, run_program
from tests.project import PROJECT
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve

PACKAGES = PROJECT / "tests" / "openai_clients" / "node_modules"
PROVIDERS = {"ai-7": "createTorchbridge", "ai-6": "createTorchbridgeV3"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_client(tmp_path_factory).with_name("ai-sdk.js")


@pytest.fixture(scope="module", params=PROVIDERS)
def seen(request: pytest.FixtureRequest, door: Path, gateway_url: str) -> dict[str, Any]:
    """What the Node program saw."""
    program = Path(__file__).with_name("ai_sdk_provider.mjs")
    package = PACKAGES / request.param / "dist" / "index.js"
    command = [NODE, program, door, gateway_url, package, PROVIDERS[request.param]]
    return seen_at_last(lambda: run_program(command), lambda seen: len(seen["texts"]) > 1)


def test_answer_tells_its_version_and_what_to_quote_to_the_operator(seen: dict[str, Any]) -> None:
    assert seen["text"].strip()
    assert seen["model"] == "tiny@1.0"
    assert seen["id"] == f"chatcmpl-{seen['requestId']}"


def test_stream_is_pieces_with_their_number_of_tokens(seen: dict[str, Any]) -> None:
    assert len(seen["texts"]) > 1
    assert 1 <= seen["usage"]["outputTokens"] <= 20


def test_failure_is_typed_for_the_gateway_and_for_the_sdk(seen: dict[str, Any]) -> None:
    assert seen["refusal"] == {"code": "model_not_found", "status": 404, "isRetryable": False}
