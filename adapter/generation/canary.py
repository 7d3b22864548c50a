"""The share of a model's requests that tries a new version, and the outcomes on both sides."""

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from functools import partial

from adapter.errors import Conflict, NotFound
from adapter.generation.canary_rule import Counts, Rule, Tally
from adapter.generation.outcomes import Outcomes
from adapter.generation.pairs import Pairs, Side
from adapter.generation.timed_attempt import TimedAttempt
from adapter.schema import GenerationRequest
from adapter.sent import Sent

_HASH_BYTES = 8
_WHATEVER_ITS_TIMES = Rule(max_slowdown=None)


class Definition(Sent):
    """The fields in which gateways must agree, for their counts to be added."""

    model: str
    version: str
    control_version: str
    share: float
    is_sticky: bool
    is_shadow: bool
    rule: Rule


@dataclass
class Canary:
    """With `is_shadow` the default version answers all requests, and `version` answers the share once more."""

    model: str
    version: str
    control_version: str
    share: float
    is_sticky: bool
    is_shadow: bool
    rule: Rule = _WHATEVER_ITS_TIMES
    timeout: float | None = None  # seconds for a verdict, where the server watches it; None: a command does
    promotes: bool = True  # whether its watcher carries a good verdict out; otherwise others read it
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ends_at: float = 0.0  # time.monotonic()
    canary_outcomes: Outcomes = field(default_factory=Outcomes)
    control_outcomes: Outcomes = field(default_factory=Outcomes)
    num_fallbacks: int = 0  # chosen, but answered by the default version: this one was not ready
    num_dropped: int = 0  # shadows for which no slot was free
    num_compared: int = 0
    num_equal: int = 0
    first_token: Pairs | None = field(init=False, default=None)
    per_token: Pairs | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.rule.max_slowdown is not None:
            self.first_token = Pairs(self.rule.max_slowdown, lambda attempt: attempt.first_token)
            self.per_token = Pairs(self.rule.max_slowdown, lambda attempt: attempt.per_token)

    @property
    def definition(self) -> Definition:
        return Definition(**{name: getattr(self, name) for name in Definition.model_fields})

    @property
    def counts(self) -> Counts:
        sides = (self.canary_outcomes.tally, self.control_outcomes.tally)
        return Counts(*sides, *(pairs.tally if pairs else Tally(0, 0) for pairs in (self.first_token, self.per_token)))

    def chooses(self, user: str | None, lot: float) -> bool:
        """Whether a request is in the share: by its user if that is asked for and known, otherwise by `lot`, 0 to 1.

        A user in a small share is in every larger one, too. The share of another version has other users.
        """
        return (self._lot_of(user) if self.is_sticky and user else lot) < self.share

    def attempt(self, side: Side, request: GenerationRequest) -> TimedAttempt:
        """Times an attempt on one side, paired with one on the other side whose prompt is about as long.

        At random both sides get the same requests; the users that are on one side for good may ask for longer ones.
        """
        size = len(request.prompt).bit_length()
        return TimedAttempt(request.max_length, partial(self._begin, side=side, size=size))

    def shadow_attempt(self, request: GenerationRequest, control: TimedAttempt) -> TimedAttempt:
        """Times the same request once more: no pair is truer."""
        return TimedAttempt(request.max_length, partial(self._compare, control=control))

    def _begin(self, attempt: TimedAttempt, side: Side, size: int) -> None:
        for pairs in self._pairs:
            pairs.begin(attempt, side, size)

    def _compare(self, attempt: TimedAttempt, control: TimedAttempt) -> None:
        for pairs in self._pairs:
            pairs.compare(attempt, control)

    @property
    def _pairs(self) -> list[Pairs]:
        return [pairs for pairs in (self.first_token, self.per_token) if pairs]

    def _lot_of(self, user: str) -> float:
        digest = hashlib.sha256(f"{self.model}\0{self.version}\0{user}".encode()).digest()
        return int.from_bytes(digest[:_HASH_BYTES]) / float(1 << 8 * _HASH_BYTES)


class Canaries:
    """At most one canary for each model. It ends if it is not renewed: the process that began it may be gone."""

    def __init__(self) -> None:
        self._canaries: dict[str, Canary] = {}
        self._aborted: dict[str, str] = {}  # the id of the last one, by model

    def begin(self, canary: Canary, seconds: float) -> None:
        if self.of(canary.model) is not None:
            raise Conflict(f"A canary of {canary.model} runs already. It ends {seconds:g} s after its command has.")
        self._canaries[canary.model] = canary
        canary.ends_at = time.monotonic() + seconds

    def renew(self, canary_id: str, seconds: float) -> Canary:
        for canary in self.running():
            if canary.id == canary_id:
                canary.ends_at = time.monotonic() + seconds
                return canary
        if canary_id in self._aborted.values():
            raise Conflict("It was aborted.")
        raise NotFound("This canary has ended: it was not renewed in time, or the gateway was restarted.")

    def end(self, canary_id: str) -> Canary | None:
        """Ends it. Returns the canary, if it ran."""
        ended = next((canary for canary in self._canaries.values() if canary.id == canary_id), None)
        if ended is not None:
            del self._canaries[ended.model]
        return ended

    def abort(self, canary_id: str) -> Canary | None:
        """Ends it as `end` does, and the next renewal is told."""
        ended = self.end(canary_id)
        if ended is not None:
            self._aborted[ended.model] = canary_id
        return ended

    def running(self) -> list[Canary]:
        return [canary for canary in map(self.of, list(self._canaries)) if canary is not None]

    def of(self, model: str) -> Canary | None:
        canary = self._canaries.get(model)
        if canary is not None and canary.ends_at <= time.monotonic():
            del self._canaries[model]
            return None
        return canary
