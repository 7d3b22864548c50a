"""What the watch over a canary makes of what a gateway may say."""

import pytest

from adapter.control.messages import OutcomeReport, PairsReport, SharedReport
from adapter.errors import NotFound
from adapter.generation.canary_rule import Counts, Tally
from adapter.versions import canary as watching
from adapter.versions.canary import Verdict
from tests.adapter.versions.fake_server import Lines
from tests.adapter.versions.replayed_gateway import ReplayedGateway, outcomes, pairs
from tests.adapter.versions.watched_canary import SOON, run


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


def test_with_others_it_is_their_counts_together_that_decide(lines: Lines) -> None:
    enough = Counts(Tally(500, 0), Tally(500, 0), Tally(100, 0), Tally(100, 0))
    gateway = ReplayedGateway((outcomes(5), outcomes(5)), shared=SharedReport(gateways=3, counts=enough))
    assert run(gateway, lines) is Verdict.PROMOTE
    assert lines[-1].split("; ")[-1] == (
        "in 3 gateways together: 2.0 0 of 500 failed (0.0% to 1.5%), 1.0 0 of 500 failed (0.0% to 1.5%), "
        "time to the first token slower in 0 of 100 pairs, time per token slower in 0 of 100 pairs"
    )


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
