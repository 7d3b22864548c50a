"""The AI SDK finds a chat's answer again that a page has left, and not one that was stopped."""

from typing import Any

import pytest

from adapter.gateway import create_app
from adapter.settings import Settings
from tests.end_to_end.client_programs import NODE, run_program
from tests.fakes import serving
from tests.project import PROJECT

pytestmark = pytest.mark.torchserve

PROGRAM = PROJECT / "tests" / "openai_clients" / "ui-message-resume.mjs"


@pytest.fixture(scope="module", params=["ai-7", "ai-6"])
def seen(request: pytest.FixtureRequest, gateway_settings: Settings) -> dict[str, Any]:
    """What the Node program saw."""
    settings = gateway_settings.model_copy(update={"unread_stream_seconds": 600})
    with serving(create_app(settings)) as url:
        return run_program([NODE, PROGRAM, request.param, url, "tiny"])


def test_a_page_that_comes_back_has_the_whole_answer(seen: dict[str, Any]) -> None:
    assert seen["found"]["text"] == seen["whole"]
    assert seen["found"]["text"].startswith(seen["left"]["text"])
    assert (seen["found"]["id"], seen["found"]["tokens"]) == (seen["left"]["id"], 60)


def test_what_was_stopped_is_not_found(seen: dict[str, Any]) -> None:
    assert (seen["status"], seen["stopped"]) == (204, None)
