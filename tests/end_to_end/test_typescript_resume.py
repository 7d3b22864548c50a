"""A stream of the TypeScript client whose connections are cut, over two gateways and one TorchServe."""

from typing import Any

import pytest
from pydantic import SecretStr

from adapter.gateway import create_app
from adapter.settings import Settings
from tests.end_to_end.client_programs import NODE, compiled_client, run_program
from tests.fakes import serving
from tests.project import PROJECT
from tests.seeing import seen_at_last

pytestmark = pytest.mark.torchserve


@pytest.fixture(scope="module")
def seen(gateway_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node program saw."""
    settings = gateway_settings.model_copy(update={"cursor_key": SecretStr("of both gateways, and of no others")})
    client = compiled_client(tmp_path_factory).parent
    program = PROJECT / "tests" / "end_to_end" / "typescript_resume.mjs"
    with serving(create_app(settings)) as first, serving(create_app(settings)) as second:
        return seen_at_last(
            lambda: run_program([NODE, program, client, first, second]),
            lambda seen: len(seen["attempts"]) > 1,  # else the answer came in so few events that none was cut
        )


def test_its_text_is_the_undisturbed_one(seen: dict[str, Any]) -> None:
    start, *deltas, done = seen["events"]
    assert (start["type"], {delta["type"] for delta in deltas}, done["type"]) == ("start", {"delta"}, "done")
    assert "".join(delta["text"] for delta in deltas) == seen["undisturbed"]["text"]
    assert done["response"]["text"] == seen["undisturbed"]["text"]
    assert done["response"]["tokens_generated"] == 100


def test_connections_were_cut_and_the_other_gateway_went_on(seen: dict[str, Any]) -> None:
    first, *others = seen["attempts"]
    assert not first["goesOn"]
    assert others
    assert all(attempt["goesOn"] for attempt in others)
    assert len({attempt["gateway"] for attempt in seen["attempts"]}) == 2
