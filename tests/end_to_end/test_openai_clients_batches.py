"""/v1/files and /v1/batches by published clients of OpenAI's, unmodified, over a scripted model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapter.batches.batch_calls import EchoInference, batch_gateway
from tests.end_to_end.client_programs import NODE, run_program
from tests.end_to_end.test_openai_clients import KEY, PROGRAMS

CLIENTS: dict[str, list[str | Path]] = {
    "openai Python": [sys.executable, PROGRAMS / "openai_python_batches.py"],
    "openai npm 7": [NODE, PROGRAMS / "openai-node-batches.mjs", "openai-7"],
    "openai npm 6": [NODE, PROGRAMS / "openai-node-batches.mjs", "openai-6"],
}


@pytest.fixture(scope="module", params=CLIENTS)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    directory = tmp_path_factory.mktemp("batches")
    with batch_gateway(directory, EchoInference(), api_keys=KEY) as gateway:
        yield run_program([*CLIENTS[request.param], str(gateway.base_url).rstrip("/"), "tiny"])


def test_client_gets_each_answer_of_its_batch(seen: dict[str, Any]) -> None:
    assert (seen["status"], seen["counts"]) == ("completed", {"total": 3, "completed": 3, "failed": 0})
    assert (seen["ids"], seen["texts"]) == (["request-0", "request-1", "request-2"], ["one", "two", "three"])
    assert (seen["metadata"], seen["age"]) == ({"for": "a test"}, 7_200)


def test_client_is_told_which_lines_are_wrong(seen: dict[str, Any]) -> None:
    assert seen["wrong_lines"] == [2]


def test_client_goes_through_the_pages_of_lists(seen: dict[str, Any]) -> None:
    assert (seen["batches"], seen["files"]) == (2, 2)


def test_client_cancels_and_deletes(seen: dict[str, Any]) -> None:
    assert (seen["late_cancel"], seen["deleted"], seen["gone"]) == (409, True, 404)
