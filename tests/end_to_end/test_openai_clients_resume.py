"""Published clients of OpenAI's, unmodified, on streams with ids: begun at one gateway, and gone on with at another."""

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adapter.gateway import create_app
from adapter.settings import Settings
from tests.end_to_end.client_programs import NODE, run_program
from tests.end_to_end.test_openai_clients import PROGRAMS
from tests.fakes import serving
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve

CLIENTS: dict[str, list[str | Path]] = {
    "openai Python": [sys.executable, PROGRAMS / "openai_python_resume.py"],
    "openai npm 7": [NODE, PROGRAMS / "openai-node-resume.mjs", "openai-7"],
    "openai npm 6": [NODE, PROGRAMS / "openai-node-resume.mjs", "openai-6"],
}


@pytest.fixture(scope="module", params=CLIENTS)
def seen(request: pytest.FixtureRequest, gateway_settings: Settings) -> dict[str, Any]:
    """What the program saw."""
    settings = gateway_settings.model_copy(update={"cursor_key": SecretStr("of both gateways, and of no others")})
    with serving(create_app(settings)) as first, serving(create_app(settings)) as second:
        return seen_at_last(
            lambda: run_program([*CLIENTS[request.param], first, second, "tiny"]),
            lambda seen: all(len(streams["begun"]) < len(streams["whole"]) for streams in seen.values()),
        )


@pytest.fixture(params=["chat.completions", "completions"])
def streams(request: pytest.FixtureRequest, seen: dict[str, Any]) -> dict[str, Any]:
    return seen[request.param]


def test_ids_disturb_no_client(streams: dict[str, Any]) -> None:
    assert streams["with_ids"] == streams["whole"] != ""


def test_the_text_that_goes_on_is_the_undisturbed_one(streams: dict[str, Any]) -> None:
    assert streams["begun"] + streams["rest"] == streams["whole"]
    assert len(streams["begun"]) > 20
    assert streams["rest"]
    assert len(streams["names"]) == 1
