"""The share of a model's requests that tries a new version, and what came of it on either side."""

import hashlib
import time
import uuid
from dataclasses import dataclass, field

from adapter.errors import Conflict, NotFound
from adapter.generation.outcomes import Outcomes

_HASH_BYTES = 8


@dataclass
class Canary:
    """With `is_shadow` the default version answers all, and the share is answered by `version` once more."""

    model: str
    version: str
    control_version: str
    share: float
    is_sticky: bool
    is_shadow: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ends_at: float = 0.0  # time.monotonic()
    canary: Outcomes = field(default_factory=Outcomes)
    control: Outcomes = field(default_factory=Outcomes)
    num_fallbacks: int = 0  # chosen, but answered by the default version: this one was not ready
    num_dropped: int = 0  # shadows for which no slot was free
    num_compared: int = 0
    num_equal: int = 0

    def chooses(self, user: str | None, lot: float) -> bool:
        """Whether a request is of the share: by its user where that is asked for and known, else by `lot`, 0 to 1.

        A user of a small share is of every larger one; the users of another version's share are others.
        """
        return (self._lot_of(user) if self.is_sticky and user else lot) < self.share

    def _lot_of(self, user: str) -> float:
        digest = hashlib.sha256(f"{self.model}\0{self.version}\0{user}".encode()).digest()
        return int.from_bytes(digest[:_HASH_BYTES]) / float(1 << 8 * _HASH_BYTES)


class Canaries:
    """At most one for each model. It ends by itself when it is not renewed: whoever began it may be gone."""

    def __init__(self) -> None:
        self._canaries: dict[str, Canary] = {}

    def begin(self, canary: Canary, seconds: float) -> None:
        if self.of(canary.model) is not None:
            raise Conflict(f"A canary of {canary.model} runs already. It ends {seconds:g} s after its command has.")
        self._canaries[canary.model] = canary
        canary.ends_at = time.monotonic() + seconds

    def renew(self, canary_id: str, seconds: float) -> Canary:
        for canary in map(self.of, list(self._canaries)):
            if canary is not None and canary.id == canary_id:
                canary.ends_at = time.monotonic() + seconds
                return canary
        raise NotFound("This canary has ended: it was not renewed in time, or the gateway was restarted.")

    def end(self, canary_id: str) -> None:
        self._canaries = {model: canary for model, canary in self._canaries.items() if canary.id != canary_id}

    def of(self, model: str) -> Canary | None:
        canary = self._canaries.get(model)
        if canary is not None and canary.ends_at <= time.monotonic():
            del self._canaries[model]
            return None
        return canary
