"""One request's circumstances besides its body, and the type of its answer. Times are time.monotonic()."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeAlias

from adapter.schema import GenerationRequest, GenerationResponse, StreamEvent
from adapter.timeline import Timeline

# Lists of events that came together, up to and with `done`; every other end is an exception of adapter.errors.
# A list belongs to its reader until the reader asks for the next one: it may be emptied then.
Arrivals: TypeAlias = AsyncGenerator[list[StreamEvent], None]

ANONYMOUS = "anonymous"

_NEVER = float("inf")


@dataclass(slots=True)
class CacheOutcome:
    """What the response cache did for a call; filled in before the first event."""

    status: str = "fwd=bypass"  # the parameters of Cache-Status (RFC 9211)
    age: int | None = None  # seconds since the answer was made, where it was made for an earlier call

    @property
    def is_reused(self) -> bool:
        """Whether the call gets another call's answer."""
        return self.status.startswith("hit") or self.status.endswith("collapsed")

    def headers(self) -> dict[str, str]:
        age = {} if self.age is None else {"age": str(self.age)}
        return {"cache-status": f"torchbridge; {self.status}"} | age


class Trace(Protocol):
    """The trace of one HTTP request (adapter/tracing)."""

    @property
    def trace_id(self) -> str: ...

    @property
    def span_id(self) -> str | None:
        """None if the trace is not recorded here."""

    def add_generation(
        self, request: GenerationRequest, call: "Call", end: GenerationResponse | BaseException, model: str
    ) -> None:
        """Call it when the generation has ended. model: the one that it meant, or empty if that is not known."""

    def end(self, request_id: str, status: int, caller: str | None) -> None:
        """Call it when the answer has been sent."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The part of an answer that a caller has, with all that any gateway needs to go on with it.

    digest: of the archive; num_deltas: how many the caller has, and ids: the tokens in them.
    stream: names the answer, at whichever gateway.
    """

    stream: str
    model: str
    version: str
    digest: str
    seed: int
    num_deltas: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    request_id: str
    received_at: float
    deadline: float = _NEVER
    first_text_deadline: float = _NEVER
    asked_deadlines: frozenset[float] = frozenset()  # the deadlines that the caller has set, and not the operator
    caller: str = ANONYMOUS  # the name of an API key, never the key
    user: str | None = None  # the caller's own name for whom it asks
    may_use_cache: bool = True
    is_streamed: bool = True  # whether anybody reads the text while it grows
    uses_model_defaults: bool = False  # whether the model's authors say how to sample where the request does not
    is_background: bool = False  # whether nobody waits for it: it takes only what those who wait leave
    seed: int | None = None  # the request's, or chance's: every worker that writes on the answer has it
    answer_ids: tuple[int, ...] = ()  # tokens of the answer that an earlier worker has sent
    last_event_id: str | None = None  # the last event that the caller has of an earlier stream, to go on behind it
    is_resumable: bool = False  # whether the caller wants to be able to come back to this stream
    begun: Begun | None = None  # what `last_event_id` stands for
    cache: CacheOutcome = field(default_factory=CacheOutcome, compare=False)
    timeline: Timeline = field(default_factory=Timeline, compare=False)
    trace: Trace | None = field(default=None, compare=False)

    def of_item(self, index: int) -> Self:
        """The call for one request of a batch."""
        return replace(self, request_id=f"{self.request_id}-{index}", cache=CacheOutcome(), timeline=Timeline())
