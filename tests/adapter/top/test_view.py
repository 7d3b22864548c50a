"""What `torchbridge top` shows: what fits, and what is to be said where there is no answer."""

from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from adapter.commands import top
from adapter.control.client import GatewayNotRunning
from adapter.errors import UpstreamUnavailable
from adapter.top.measurement import Row
from adapter.top.rates import Rates
from adapter.top.view import view
from adapter.versions.status import VersionStatus

RATES = Rates(
    tokens_per_second=1234.5,
    prompt_tokens_per_second=1,
    answers_per_second=12.25,
    failures_per_second=0.5,
    first_token_seconds={"p50": 0.0251, "p95": 0.125, "p99": 1.75},
)


def row(model: str = "tiny") -> Row:
    status = VersionStatus(
        model=model,
        version="1.0",
        is_default=True,
        is_default_model=True,
        is_previous=False,
        is_draining=False,
        canary_percent=None,
        canary_first_token=None,
        canary_per_token=None,
        workers=1,
        ready_workers=1,
        live_requests=12,
        waiting_requests=3,
        queued_in_torchserve=0,
        archive=None,
        digest=None,
        deployed_at=datetime.now(UTC),
    )
    return Row(status=status, rates=RATES, worker_memory_bytes=1_234_000_000)


def shown(what: RenderableType, width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


@pytest.mark.parametrize("width", [200, 80, 60, 45])
def test_no_figure_is_cut_where_the_terminal_is_narrow(width: int) -> None:
    text = shown(view([row()], 10, width), width)
    header, line = text.splitlines()[:2]
    assert "…" not in text
    assert len(header.split()) == len(line.replace("1.0 (default)", "1.0").replace(" MB", "").split())
    assert {"model", "version", "running", "waiting"} <= set(header.split())


def test_what_has_no_room_is_named() -> None:
    assert "A wider terminal has p50, p99, memory, too." in " ".join(shown(view([row()], 10, 80), 80).split())
    assert "wider" not in shown(view([row()], 10, 200), 200)


@pytest.mark.parametrize(
    "failure", [GatewayNotRunning("No gateway runs in /run."), UpstreamUnavailable("TorchServe does not answer.")]
)
def test_it_goes_on_while_the_server_does_not_answer(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[row()], failure, [row()]])

    def look() -> list[Row]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(top.time, "sleep", lambda _: None)
    views = top.views(look, 1, Console(width=200))
    seen = [shown(next(views), 200) for _ in range(3)]
    assert "tiny" in seen[0]
    assert str(failure) in seen[1]
    assert "until Ctrl-C" in seen[1]
    assert "tiny" in seen[2]
