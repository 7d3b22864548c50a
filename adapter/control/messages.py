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
        default=None,
        description="The number of workers that TorchServe is to keep; null if the gateway is older than this field.",
    )
    ready_workers: int
    live_requests: int = Field(
        description="The number of requests for this version that wait, run or are read from the cache."
    )
    oldest_live_seconds: float | None = Field(
        description="The seconds since the oldest of them came to mean this version; null if there is none."
    )
    waiting_requests: int = Field(description="The number of requests that wait for a slot.")
    running_requests: int = Field(description="The number of requests in the worker.")
    held_requests: int = Field(
        description="The number of requests that are not let through while the version is drained."
    )
    queued_in_torchserve: int = Field(
        default=0, description="The number of requests that TorchServe has not given to the worker yet."
    )


class SpreadReport(_Answer):
    """Seconds, of the last 1000 answers."""

    p50: float = Field(description="The median, in seconds.")
    p95: float = Field(description="The time that 95 % do not exceed, in seconds.")


class OutcomeReport(_Answer):
    """How attempts ended; those that the caller or a limit ended are no trial of the version."""

    answers: int = Field(description="The number of whole answers.")
    failures: dict[str, int] = Field(
        description="The number of failures by the version's doing, by the code of the error."
    )
    cut: int = Field(
        description="The number of attempts that callers, a deadline or the gateway's end cut short in the version."
    )
    time_to_first_token: SpreadReport | None = Field(
        description="The time from the worker's receipt of a request to its first token; null before an answer."
    )
    time_per_token: SpreadReport | None = Field(
        description="The time of each token after the first; null before an answer with two."
    )

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

    slower: int = Field(
        description="The number of pairs in which the canary took more than `max_slowdown` times as long."
    )
    not_slower: int = Field(description="The number of pairs in which it did not.")

    @property
    def num_pairs(self) -> int:
        return self.slower + self.not_slower

    @property
    def tally(self) -> Tally:
        return Tally(self.num_pairs, self.slower)


class SharedReport(_Answer):
    """A canary that gateways with one Redis try together."""

    gateways: int = Field(description="The number of gateways that are counted.")
    counts: Counts = Field(
        description="The trials and failures of the canary and of the default version, and the pairs for both times."
    )


class CanaryReport(_Answer):
    """A canary, with counts of requests that name no version, since it began."""

    id: str = Field(description="The id of the canary.")
    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version that is tried.")
    control_version: str = Field(description="The default version, which answers the others.")
    percent: float = Field(description="The share of the requests without a version that it gets, in percent.")
    is_sticky: bool = Field(description="Whether each user stays with one version.")
    is_shadow: bool = Field(
        description="Whether its answers are only counted, and callers get those of the default version."
    )
    canary: OutcomeReport = Field(description="What has become of the requests that the canary got.")
    control: OutcomeReport = Field(description="What has become of the requests that the default version got.")
    max_slowdown: float | None = Field(
        description="How many times as long the canary may mostly take; null if times are not compared."
    )
    first_token: PairsReport | None = Field(
        description="The comparison of the times to the first token; null if times are not compared."
    )
    per_token: PairsReport | None = Field(
        description="The comparison of the times per token; null if times are not compared."
    )
    fallbacks: int = Field(
        description="The number of requests that found the canary not ready, so that the default version answered."
    )
    dropped: int = Field(description="The number of shadows that were not run because no slot was free.")
    compared: int = Field(description="The number of shadows of requests that have one right answer.")
    equal: int = Field(description="The number of these whose text was that of the caller's answer.")
    margin: float = Field(description="How much higher its rate of failures may be, as a share of 1.")
    min_requests: int = Field(description="The number of requests that each side has at least before a promotion.")
    alpha: float = Field(description="How likely each wrong verdict may be, as a share of 1.")
    timeout: float | None = Field(
        description="The seconds for a verdict, where the server watches it; null if a command does."
    )
    promotes: bool = Field(
        default=True,
        description="Whether the canary is promoted if it is no worse; otherwise others read the verdict and do so.",
    )
    shared: SharedReport | None = Field(
        description="The counts of all gateways with one Redis, by which it is judged; null without Redis."
    )

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
        default=None,
        description="The model of requests that name none, which may not be served; null if there is one model alone.",
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
