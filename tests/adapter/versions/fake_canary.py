"""A gateway with a canary in it, in memory, and what it tells of that."""

from adapter.control.messages import CanaryReport, CanaryRequest, OutcomeReport
from adapter.errors import Conflict, NotFound
from tests.adapter.versions.fake_server import FakeGateway


def report(
    answers: int = 0,
    failures: int = 0,
    *,
    is_shadow: bool = False,
    timeout: float | None = 60.0,
    promotes: bool = True,
) -> CanaryReport:
    """Of 1.0, which is tried beside the default 2.0."""
    no_times = {"time_to_first_token": None, "time_per_token": None, "cut": 0}
    return CanaryReport(
        id="one",
        model="tiny",
        version="1.0",
        control_version="2.0",
        percent=5,
        is_sticky=False,
        is_shadow=is_shadow,
        canary=OutcomeReport(answers=answers, failures={"internal": failures} if failures else {}, **no_times),
        control=OutcomeReport(answers=500, failures={}, **no_times),
        max_slowdown=None,
        first_token=None,
        per_token=None,
        fallbacks=0,
        dropped=0,
        compared=0,
        equal=0,
        margin=0.02,
        min_requests=100,
        alpha=0.05,
        timeout=timeout,
        promotes=promotes,
        shared=None,
    )


class GatewayWithCanary(FakeGateway):
    """`seen`: what it tells of its canary, or how it fails; None: there is none."""

    seen: CanaryReport | None = None
    failure: Exception | None = None
    begun: CanaryRequest | None = None
    num_renewed = num_ended = 0

    def canaries(self) -> tuple[CanaryReport, ...]:
        return (self.seen,) if self.seen else ()

    def renew_canary(self, canary_id: str) -> CanaryReport:
        assert canary_id == "one"
        self.num_renewed += 1
        if self.failure is not None:
            raise self.failure
        if self.seen is None:
            raise NotFound("This canary has ended.")
        return self.seen

    def begin_canary(self, request: CanaryRequest) -> CanaryReport:
        self.begun = request
        self.seen = report(timeout=request.timeout)
        return self.seen

    def abort_canary(self, canary_id: str) -> None:
        self.failure = Conflict("It was aborted.")
        self.end_canary(canary_id)

    def end_canary(self, canary_id: str) -> None:
        assert canary_id == "one"
        self.num_ended += 1
        self.seen = None
