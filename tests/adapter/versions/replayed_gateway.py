"""A gateway that says of a canary what a test wants."""

from adapter.control.messages import CanaryReport, CanaryRequest, OutcomeReport, PairsReport, SharedReport


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
