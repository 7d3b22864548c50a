import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.gateway import create_app
from adapter.schema import MAX_BATCH_REQUESTS
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# Of an operation, and of all in all phases. Those of the coverage phase are always the same; `make soak` has the most.
MOST_EXAMPLES, FEWEST_CASES = (450, 5_000) if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else (20, 500)
PHASES = ("examples", "coverage", "fuzzing", "stateful")


class StatusCounter:
    """The gateway, and what it answered: the tool is not the only judge of a run."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.statuses: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, send_and_count)


def test_the_gateway_keeps_what_its_document_promises(tmp_path: Path) -> None:
    # What is valid by the document must not be too much: JSON's escapes make twelve bytes of one character.
    settings = Settings(max_body_bytes=2**24, max_batch_requests=MAX_BATCH_REQUESTS)
    registry = ModelRegistry(FakeManagement(), default_model=None)
    gateway = StatusCounter(create_app(settings, inference=FakeInference(), registry=registry))
    report_file = tmp_path / "report.json"
    with serving(gateway) as address:
        run = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIGURATION),
                *("run", f"{address}/openapi.json", "--checks", "all", "--no-color"),
                *("--max-examples", str(MOST_EXAMPLES)),
                *("--report", "json", "--report-json-path", report_file),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[:20_000] + run.stderr
    report = json.loads(report_file.read_text())
    assert {phase: report["phases"][phase]["status"] for phase in PHASES} == dict.fromkeys(PHASES, "success")
    assert report["test_cases"]["generated"] >= FEWEST_CASES
    assert gateway.statuses.total() >= FEWEST_CASES
    assert gateway.statuses[500] == 0
