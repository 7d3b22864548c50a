"""The events of one request's answer, and when each of them is due."""

import math
import time

from adapter.event_stream import encode_event
from adapter.schema import WORKER_EVENT, ErrorEvent, Problem, StartEvent, StreamEvent, TokenLogprob, WorkerDelta
from adapter.tools import ToolCallDelta
from handlers.tool_calls import joined


class Generation:
    """Takes tokens in and gives events out: `start`, any number of `delta`, then one `done` or `error`.

    The first answer is `start` alone, whatever else is ready: TorchServe never sends the head of a response whose
    first step is its last (RestJob.java:148-181), so the client would hang.

    is_read: whether somebody reads its text as it is written.
    """

    is_read = False

    def __init__(self, start: StartEvent, interval: float = 0.0) -> None:
        """`interval`: seconds between two deltas at least, but for the last."""
        self._start = start
        self._is_started = False
        self._pending = ""
        self._pending_ids: list[int] = []
        self._pending_logprobs: list[TokenLogprob] | None = None  # nobody asks for them
        self._pending_calls: list[ToolCallDelta] = []
        self._num_deltas = 0
        self._given_at = -math.inf  # the last delta
        self._interval = interval
        self._end: StreamEvent | None = None

    def write_among(self, count: int) -> None:
        """Says how many answers are read at once while they are written, this one among them if it is."""

    @property
    def id(self) -> str:
        return self._start.id

    def start_with(self, prompt_tokens: int) -> StartEvent:
        """The start, once the tokens of the prompt are counted."""
        return self._start.model_copy(update={"prompt_tokens": prompt_tokens})

    @property
    def is_ended(self) -> bool:
        """Whether no more text will come; the events may still have to be taken."""
        return self._end is not None

    @property
    def is_due(self) -> bool:
        """Whether something is there that should be taken at once; other text may wait for the next token."""
        has_first_text = bool(self._pending or self._pending_calls) and not self._num_deltas
        return self.is_ended or not self._is_started or has_first_text  # no text is given before the start

    def patience(self, now: float) -> float:
        """Seconds from `now` (time.monotonic()) in which tokens may come together, unless one of them is urgent."""
        return max(0.0, self._given_at + self._interval - now)

    def fail(self, problem: Problem) -> None:
        if self._end is None:
            self._end = ErrorEvent(problem=problem)

    def discard(self) -> None:
        """Forgets what has not been taken."""
        self._pending_logprobs = self._end = None
        self._forget_pending()

    def take(self) -> tuple[bytes, bool]:
        """The encoded events that are due, and whether they are the last."""
        if not self._is_started:
            self._is_started = True
            return encode_event(self._start, WORKER_EVENT), False
        events: list[StreamEvent] = []
        if self._has_delta and (self.is_ended or self.patience(time.monotonic()) <= 0):
            events.append(self._delta())
        if self._end is not None:
            events.append(self._end)
        return b"".join(encode_event(event, WORKER_EVENT) for event in events), self._end is not None

    @property
    def _has_delta(self) -> bool:
        """Whether there is text to send. Tokens without text are sent with the next text, or with the end."""
        return bool(self._pending or self._pending_calls) or (self.is_ended and bool(self._pending_logprobs))

    def _delta(self) -> WorkerDelta:
        logprobs = None if self._pending_logprobs is None else tuple(self._pending_logprobs)
        calls = tuple(joined(self._pending_calls)) or None
        ids = None if self.is_ended else tuple(self._pending_ids)
        delta = WorkerDelta(index=self._num_deltas, text=self._pending, logprobs=logprobs, tool_calls=calls, ids=ids)
        self._num_deltas += 1
        self._forget_pending()
        self._given_at = time.monotonic()
        return delta

    def _forget_pending(self) -> None:
        self._pending, self._pending_ids, self._pending_calls = "", [], []
        self._pending_logprobs = None if self._pending_logprobs is None else []


class PendingGeneration(Generation):
    """A generation whose prompt is being encoded: its `start` is not due before, as it has their number."""

    @property
    def is_due(self) -> bool:
        return self.is_ended

    def patience(self, _now: float) -> float:
        return math.inf

    def take(self) -> tuple[bytes, bool]:
        return super().take() if self.is_ended else (b"", False)
