"""Objects by the TypeScript client, with a schema of Zod's, through gateway, TorchServe and worker."""

import json
from typing import Any

import pytest

from tests.end_to_end.client_programs import compiled_client, run_with_zod

pytestmark = pytest.mark.torchserve


@pytest.fixture(scope="module")
def seen(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node program saw."""
    return run_with_zod("typescript_objects.mjs", gateway_url, compiled_client(tmp_path_factory))


def test_object_is_what_the_schema_makes_of_the_text(seen: dict[str, Any]) -> None:
    written = json.loads(seen["text"])

    assert set(written) == {"name", "age", "size"}
    assert seen["object"] == {**written, "size": written["size"].upper()}


def test_stream_grows_to_the_object_that_it_ends_with(seen: dict[str, Any]) -> None:
    start, *partials, done = seen["events"]

    assert (start["type"], {partial["type"] for partial in partials}, done["type"]) == ("start", {"partial"}, "done")
    assert len(partials) > 2
    assert partials[-1]["object"] == json.loads(done["response"]["text"])
    assert done["object"]["size"] in {"SMALL", "LARGE"}


def test_answer_that_ends_within_its_json_is_an_error_with_the_text_so_far(seen: dict[str, Any]) -> None:
    assert seen["truncated"].pop("text").startswith("{")
    assert seen["truncated"] == {"isTruncated": True, "finishReason": "length"}
