"""The watch over a canary, on a running gateway with callers of its own."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapter.control.client import ControlClient
from adapter.control.messages import (
    CanaryReport,
    CanaryRequest,
    OutcomeReport,
    PairsReport,
    SharedReport,
    control_socket,
)
from adapter.errors import Conflict, GenerationFailed, NotFound, VersionNotFound
from adapter.generation.canary_rule import Counts, Rule, Tally
from adapter.versions import canary as watching
from adapter.versions.canary import Verdict, run_canary
from tests.adapter.control.running_gateway import running_gateway
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.fakes import FakeManagement

SOON = Rule(margin=0.3, min_requests=10, max_slowdown=100.0)


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})


@pytest.fixture
def inference() -> ScriptedVersions:
    return ScriptedVersions()


@pytest.fixture
def gateway(tmp_path: Path, management: FakeManagement, inference: ScriptedVersions) -> Iterator[str]:
    with running_gateway(tmp_path, management, inference) as url:
        yield url


@pytest.fixture
def client(gateway: str, tmp_path: Path) -> ControlClient:
    del gateway
    return ControlClient(control_socket(tmp_path))


@pytest.fixture
def callers(gateway: str) -> Iterator[None]:
    """Ask one after another for as long as the test runs."""
    has_ended = threading.Event()

    def ask() -> None:
        with httpx.Client() as http:
            while not has_ended.is_set():
                http.post(f"{gateway}/generate", json={"prompt": "Once"})

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    has_ended.set()
    thread.join()


class Lines(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def lines() -> Lines:
    return Lines()


def request(version: str = "2.0", *, shadow: bool = False, rule: Rule = SOON) -> CanaryRequest:
    return CanaryRequest(model="tiny", version=version, percent=50, is_sticky=False, is_shadow=shadow, **rule._asdict())


def run(gateway: ControlClient, report: Callable[[str], None], *, timeout: float = 60, **about: Any) -> Verdict:
    return run_canary(gateway, request(**about), timeout=timeout, report=report, seconds_between_looks=0.01)


def is_over(client: ControlClient) -> bool:
    return all(model.canary is None for model in client.traffic().models)


def outcomes(answers: int = 0, cut: int = 0, **failures: int) -> OutcomeReport:
    return OutcomeReport(answers=answers, failures=failures, cut=cut, time_to_first_token=None, time_per_token=None)


def pairs(slower: int = 0, not_slower: int = 0) -> PairsReport:
    return PairsReport(slower=slower, not_slower=not_slower)


AS_FAST = pairs(not_slower=100)


class ReplayedGateway:
    """As ControlClient: tells of one canary what a test says, the last of it again and again."""

    def __init__(
        self,
        *reports: tuple[OutcomeReport, OutcomeReport] | Exception | type[BaseException],
        first_token: PairsReport = AS_FAST,
        per_token: PairsReport = AS_FAST,
        shared: SharedReport | None = None,
    ) -> None:
        self._reports = list(reports)
        self._shared = shared
        self._times = {"first_token": first_token, "per_token": per_token}
        self.num_ended = 0

    def begin_canary(self, request: CanaryRequest) -> CanaryReport:
        self._rule = request.rule
        return self._report(request.version, outcomes(), outcomes())

    def renew_canary(self, canary_id: str) -> CanaryReport:
        assert canary_id == "one"
        report = self._reports.pop(0) if len(self._reports) > 1 else self._reports[0]
        if not isinstance(report, tuple):
            raise report
        return self._report("2.0", *report)

    def end_canary(self, canary_id: str) -> None:
        assert canary_id == "one"
        self.num_ended += 1

    def _report(self, version: str, canary: OutcomeReport, control: OutcomeReport) -> CanaryReport:
        counts = dict.fromkeys(("fallbacks", "dropped", "compared", "equal"), 0)
        return CanaryReport(
            id="one",
            model="tiny",
            version=version,
            control_version="1.0",
            percent=5,
            is_sticky=False,
            is_shadow=False,
            canary=canary,
            control=control,
            timeout=None,
            shared=self._shared,
            **self._rule._asdict(),
            **(self._times if self._rule.max_slowdown else dict.fromkeys(self._times)),
            **counts,
        )


# On a running gateway


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("shadow", [False, True], ids=["canary", "shadow"])
def test_what_does_not_fail_is_to_be_promoted_and_gets_no_more(
    client: ControlClient, lines: Lines, *, shadow: bool
) -> None:
    assert run(client, lines, shadow=shadow) is Verdict.PROMOTE
    assert is_over(client)
    assert "If none fails" in lines[0]
    assert lines[-1].startswith("2.0: 0 of ")


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("shadow", [False, True], ids=["canary", "shadow"])
def test_what_fails_is_aborted(
    client: ControlClient, inference: ScriptedVersions, lines: Lines, *, shadow: bool
) -> None:
    inference.scripts["2.0"] = [GenerationFailed("no")]
    assert run(client, lines, shadow=shadow) is Verdict.FAILS_MORE
    assert is_over(client)
    assert "generation_failed" in lines[-1]


@pytest.mark.usefixtures("callers")
def test_a_version_without_a_worker_is_aborted(client: ControlClient, management: FakeManagement, lines: Lines) -> None:
    def lose_the_worker(line: str) -> None:
        management.served["tiny"]["2.0"] = 0
        client.traffic()
        lines(line)

    assert run(client, lose_the_worker) is Verdict.FAILS_MORE
    assert "found 2.0 not ready" in lines[-1]


def test_without_requests_there_is_no_verdict(client: ControlClient, lines: Lines) -> None:
    assert run(client, lines, timeout=0.2) is Verdict.UNDECIDED
    assert is_over(client)


@pytest.mark.usefixtures("callers")
def test_a_version_that_goes_is_lost(client: ControlClient, management: FakeManagement, lines: Lines) -> None:
    def unregister(line: str) -> None:
        management.served["tiny"] = {"1.0": 1}
        client.traffic()
        lines(line)

    assert run(client, unregister) is Verdict.LOST
    assert "no version 2.0 any more" in lines[-1]


def test_a_canary_that_the_gateway_has_forgotten_is_lost(client: ControlClient, lines: Lines) -> None:
    def forget(line: str) -> None:
        lines(line)
        for model in client.traffic().models:
            if model.canary:
                client.end_canary(model.canary.id)

    assert run(client, forget) is Verdict.LOST
    assert "restarted" in lines[-1]


def test_a_gateway_that_stops_has_lost_it(
    tmp_path: Path, management: FakeManagement, inference: ScriptedVersions, lines: Lines
) -> None:
    with contextlib.ExitStack() as running:
        running.enter_context(running_gateway(tmp_path, management, inference))

        def stop(line: str) -> None:
            running.close()
            lines(line)

        assert run(ControlClient(control_socket(tmp_path)), stop) is Verdict.LOST
    assert "No gateway runs" in lines[-1]


def test_who_interrupts_it_leaves_none_behind(client: ControlClient) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(client, interrupt)
    assert is_over(client)


def test_what_cannot_begin_is_an_error_and_leaves_the_one_that_runs(client: ControlClient, lines: Lines) -> None:
    with pytest.raises(VersionNotFound):
        run_canary(client, request("3.0"), timeout=1, report=lines)
    client.begin_canary(request())
    with pytest.raises(Conflict):
        run(client, lines)
    assert not is_over(client)
    assert lines == []


# On what a gateway may say


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((outcomes(5), outcomes(50)), (outcomes(4), outcomes(60))),
        ((outcomes(5), outcomes(50)), (outcomes(500), outcomes(40))),
        ((outcomes(5, internal=2), outcomes(50)), (outcomes(500, internal=1), outcomes(500))),
    ],
    ids=["of the canary", "of the default", "of failures"],
)
def test_counts_that_went_back_are_lost(
    before: tuple[OutcomeReport, OutcomeReport], after: tuple[OutcomeReport, OutcomeReport], lines: Lines
) -> None:
    gateway = ReplayedGateway(before, after)
    assert run(gateway, lines) is Verdict.LOST
    assert gateway.num_ended == 1


def test_the_time_that_is_up_does_not_hide_a_verdict(lines: Lines) -> None:
    assert run(ReplayedGateway((outcomes(500), outcomes(500))), lines, timeout=0) is Verdict.PROMOTE


def test_an_end_that_fails_changes_nothing(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = ReplayedGateway((outcomes(500), outcomes(500)))

    def fail(_: str) -> None:
        raise NotFound("no")

    monkeypatch.setattr(gateway, "end_canary", fail)
    assert run(gateway, lines) is Verdict.PROMOTE


def test_it_tells_how_far_it_is(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_SECONDS_BETWEEN_LINES", 0)
    seen = (outcomes(4, cut=2, internal=1), outcomes(50))
    gateway = ReplayedGateway(
        (outcomes(3), outcomes(3)), seen, NotFound("over"), first_token=pairs(30, 70), per_token=pairs()
    )
    assert run(gateway, lines) is Verdict.LOST
    assert lines[0] == (
        "5 % of the requests, at random, go to 2.0, the others to 1.0. "
        "If none fails, it takes 16 requests on 2.0 to promote it."
    )
    assert lines[2].split("; ") == [
        "2.0: 1 of 5 failed (0.1% to 83.1%), 1 internal, 2 cut short by others",
        "1.0: 0 of 50 failed (0.0% to 11.7%)",
        "time to the first token: 2.0 took more than 100 times as long in 30 of 100 pairs (16.6% to 46.3%)",
        "time per token: no pair yet (answers of one token have none)",
        "not decided: failures, time per token",
    ]


def test_that_no_requests_come_is_said_once(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_SECONDS_BETWEEN_LINES", 0)
    nothing, one = (outcomes(), outcomes()), (outcomes(1), outcomes())
    assert run(ReplayedGateway(*[nothing] * 4, one, one, NotFound("over")), lines) is Verdict.LOST
    quiet = "No request has come since: the next line is shown when one has."
    assert [line == quiet for line in lines] == [False, False, True, False, True, False]


# Of all gateways


def test_with_others_it_is_their_counts_together_that_decide(lines: Lines) -> None:
    enough = Counts(Tally(500, 0), Tally(500, 0), Tally(100, 0), Tally(100, 0))
    gateway = ReplayedGateway((outcomes(5), outcomes(5)), shared=SharedReport(gateways=3, counts=enough))
    assert run(gateway, lines) is Verdict.PROMOTE
    assert lines[-1].split("; ")[-1] == (
        "in 3 gateways together: 2.0 0 of 500 failed (0.0% to 1.5%), 1.0 0 of 500 failed (0.0% to 1.5%), "
        "time to the first token slower in 0 of 100 pairs, time per token slower in 0 of 100 pairs"
    )


# Times


@pytest.mark.parametrize("slow", ["first_token", "per_token"])
def test_what_is_slower_than_it_may_be_is_given_up_whatever_else_it_does(lines: Lines, slow: str) -> None:
    gateway = ReplayedGateway((outcomes(500), outcomes(500)), **{slow: pairs(slower=20)})
    assert run(gateway, lines) is Verdict.SLOWER


@pytest.mark.parametrize(
    ("unknown", "seen", "says"),
    [
        ("first_token", pairs(40, 60), "not decided: time to the first token"),
        ("per_token", pairs(), "not decided: time per token"),
    ],
    ids=["too few", "none"],
)
def test_what_may_be_slower_is_not_promoted_and_it_says_so(
    lines: Lines, unknown: str, seen: PairsReport, says: str
) -> None:
    gateway = ReplayedGateway((outcomes(500), outcomes(500)), **{unknown: seen})
    assert run(gateway, lines, timeout=0) is Verdict.UNDECIDED
    assert lines[-1].endswith(says)


def test_what_fails_more_and_is_slower_fails_more(lines: Lines) -> None:
    gateway = ReplayedGateway((outcomes(0, internal=50), outcomes(500)), first_token=pairs(slower=20))
    assert run(gateway, lines) is Verdict.FAILS_MORE


def test_without_a_slowdown_times_do_not_matter(lines: Lines) -> None:
    gateway = ReplayedGateway((outcomes(500), outcomes(500)), first_token=pairs(slower=20))
    assert run(gateway, lines, rule=SOON._replace(max_slowdown=None)) is Verdict.PROMOTE
    assert "as long" not in lines[-1]
