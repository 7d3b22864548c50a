"""Messages between the command line and a running gateway, over a socket that only the gateway's user can open."""

from pathlib import Path

from pydantic import ConfigDict, Field, PositiveInt

from adapter.control.unix_connection import SOCKET_NAME
from adapter.generation.canary_rule import Counts, Rule, Tally
from adapter.names import Name
from adapter.received import Received
from adapter.sent import Sent

HOLD_SECONDS = 10.0  # unless it is renewed
CANARY_SECONDS = 10.0  # the same


def control_socket(run_directory: Path) -> Path:
    return run_directory.resolve() / SOCKET_NAME


class _Answer(Sent):
    """Built when it is used: a command uses few of them, and to build all takes it longer than to ask."""

    model_config = ConfigDict(defer_build=True)


class VersionTraffic(_Answer):
    version: str
    is_default: bool
    workers: int | None = Field(
        default=None, description="That TorchServe is to keep; None: the gateway is older than this field."
    )
    ready_workers: int
    live_requests: int = Field(description="That mean this version, whether they wait, run or are read from the cache.")
    oldest_live_seconds: float | None = Field(description="Since the oldest of them came to mean this version.")
    waiting_requests: int = Field(description="For a slot.")
    running_requests: int = Field(description="In the worker.")
    held_requests: int = Field(description="That are not let through while the version is drained.")
    queued_in_torchserve: int = Field(default=0, description="That TorchServe has not given to the worker yet.")


class SpreadReport(_Answer):
    """Seconds, of the last 1000 answers."""

    p50: float
    p95: float


class OutcomeReport(_Answer):
    """How attempts ended; those that the caller or a limit ended are no trial of the version."""

    answers: int
    failures: dict[str, int] = Field(description="Of the version's own, by the code of the error.")
    cut: int = Field(description="By their callers, a deadline or the gateway's end, while the version had them.")
    time_to_first_token: SpreadReport | None = Field(description="Since the version's worker was given the request.")
    time_per_token: SpreadReport | None = Field(description="Of each token after the first.")

    @property
    def num_failures(self) -> int:
        return sum(self.failures.values())

    @property
    def num_trials(self) -> int:
        return self.answers + self.num_failures

    @property
    def tally(self) -> Tally:
        return Tally(self.num_trials, self.num_failures)


class PairsReport(_Answer):
    """Counts of the pairs of requests, one on each version, that could be compared."""

    slower: int = Field(description="In which the canary took more than `max_slowdown` times as long.")
    not_slower: int

    @property
    def num_pairs(self) -> int:
        return self.slower + self.not_slower

    @property
    def tally(self) -> Tally:
        return Tally(self.num_pairs, self.slower)


class SharedReport(_Answer):
    """A canary that gateways with one Redis try together."""

    gateways: int = Field(description="Whose counts these are.")
    counts: Counts


class CanaryReport(_Answer):
    """A canary, with counts of requests that name no version, since it began."""

    id: str
    model: str
    version: str
    control_version: str = Field(description="The default version, which answers the others.")
    percent: float
    is_sticky: bool
    is_shadow: bool
    canary: OutcomeReport
    control: OutcomeReport
    max_slowdown: float | None
    first_token: PairsReport | None = Field(description="By the time to the first token; None: not compared.")
    per_token: PairsReport | None
    fallbacks: int = Field(description="Failures of the canary's: it was not ready, and the default version answered.")
    dropped: int = Field(description="Shadows that were not run because no slot was free.")
    compared: int = Field(description="Shadows of requests that have one right answer.")
    equal: int = Field(description="Of these, with the same text as the caller's answer.")
    margin: float
    min_requests: int
    alpha: float
    timeout: float | None = Field(
        description="Seconds for a verdict, where the server watches it; None: a command does."
    )
    promotes: bool = Field(default=True, description="Whether who watches it carries a good verdict out.")
    shared: SharedReport | None = Field(description="With Redis: what it is judged by, instead of the counts above.")

    @property
    def rule(self) -> Rule:
        return Rule(self.margin, self.min_requests, self.alpha, self.max_slowdown)

    @property
    def counts(self) -> Counts:
        """The counts by which it is judged."""
        if self.shared is not None:
            return self.shared.counts
        times = (pairs.tally if pairs else Tally(0, 0) for pairs in (self.first_token, self.per_token))
        return Counts(self.canary.tally, self.control.tally, *times)


class CanaryList(_Answer):
    """The canaries that run."""

    canaries: tuple[CanaryReport, ...]


class ModelTraffic(_Answer):
    name: str
    default_version: str
    versions: tuple[VersionTraffic, ...]
    canary: CanaryReport | None


class TrafficReport(_Answer):
    """The traffic after it was asked for: every later request gets the default version that this names."""

    models: tuple[ModelTraffic, ...]
    default_model: str | None = Field(
        default=None, description="It answers requests that name none; it may not be served. None: the only model."
    )

    def of(self, model: str, version: str) -> VersionTraffic | None:
        for reported in self.models:
            if reported.name == model:
                return next((each for each in reported.versions if each.version == version), None)
        return None

    def default_version(self, model: str) -> str | None:
        return next((each.default_version for each in self.models if each.name == model), None)


class CanaryRequest(Received):
    model: Name
    version: Name
    percent: float = Field(gt=0, le=100)
    is_sticky: bool
    is_shadow: bool
    max_slowdown: float | None = Field(gt=0, description="None: their times are not compared.")
    margin: float = Field(gt=0, le=1)
    min_requests: PositiveInt
    alpha: float = Field(gt=0, lt=1)
    timeout: float | None = Field(
        default=None, gt=0, description="Seconds for a verdict: the server watches it. None: whoever asks does."
    )
    promotes: bool = Field(default=True, description="Else a good verdict is for others to read and to carry out.")

    @property
    def rule(self) -> Rule:
        return Rule(self.margin, self.min_requests, self.alpha, self.max_slowdown)


class DefaultModelRequest(Received):
    model: Name


class HoldRequest(Received):
    model: Name
    version: Name
    is_held: bool
