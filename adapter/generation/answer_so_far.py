"""The part of an answer that its workers have sent: if one dies another goes on, and the caller notices nothing.

All that an answer is follows from its tokens, and each token from those before it, its seed and its position. So a
worker that is given the tokens goes on as the first one would have.
"""

import math
import time
from array import array
from dataclasses import replace

from adapter.call import Call
from adapter.errors import VersionNotFound, WorkerDied
from adapter.schema import DeltaEvent, DoneEvent, StartEvent, StreamEvent, TokenLogprob, WorkerDelta

_OTHER_ARCHIVE = "This version has become another archive since the answer began, which cannot go on with it."


class AnswerSoFar:
    """call: of the next attempt, which goes on behind its `answer_ids`."""

    def __init__(self, call: Call) -> None:
        begun = call.begun
        self.call = call
        self._goes_on = begun is not None
        self._digest = begun.digest if begun else ""  # of the archive whose text came first
        self._started_at = self._began_at = 0.0  # the first attempt, and the last one: time.monotonic()
        self._first_text_at: float | None = None
        self._ids: array[int] | None = array("I", begun.ids if begun else ())  # None where a delta came without
        self._logprobs: list[TokenLogprob] = []
        self._logprobs_before: list[TokenLogprob] = []  # of earlier attempts
        self._num_deltas = self._num_before = begun.num_deltas if begun else 0  # in all, and before the last attempt

    @property
    def has_grown(self) -> bool:
        """Whether the last attempt has sent some text."""
        return self._num_deltas > self._num_before

    @property
    def is_known(self) -> bool:
        """Whether another worker can go on with it."""
        return bool(self._ids)

    def go_on(self) -> None:
        """Begins the next attempt where the last one ended."""
        # The first text is there: only the whole answer's deadline can still pass.
        self.call = replace(self.call, answer_ids=tuple(self._ids or ()), first_text_deadline=math.inf)
        self._goes_on = True
        self._num_before, self._logprobs_before = self._num_deltas, list(self._logprobs)

    def take(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Turns an attempt's events into the whole answer's. Raises WorkerDied if they are another archive's."""
        return [own for event in events if (own := self._own(event)) is not None]

    def _own(self, event: StreamEvent) -> StreamEvent | None:
        match event:
            case StartEvent():
                return self._begin(event)
            case DeltaEvent():
                return self._add(event)
            case DoneEvent() if self._goes_on:
                return self._whole(event)
        return event

    def _begin(self, event: StartEvent) -> StartEvent | None:
        self._began_at = time.monotonic()
        self._started_at = self._started_at or self._began_at
        if self._goes_on:
            if event.model_digest != self._digest:
                raise VersionNotFound(_OTHER_ARCHIVE) if self.call.begun else WorkerDied(_OTHER_ARCHIVE, is_final=True)
            return None
        self._digest, self._started_at = event.model_digest, self._began_at
        return event.model_copy(update={"seed": self.call.seed})

    def _add(self, event: DeltaEvent) -> DeltaEvent:
        self._first_text_at = self._first_text_at or time.monotonic()
        ids = event.ids if isinstance(event, WorkerDelta) else None
        if ids is None:
            self._ids = None
        elif self._ids is not None:
            self._ids.extend(ids)
            self._logprobs += event.logprobs or ()
        index = self._num_deltas
        self._num_deltas += 1
        return event.model_copy(update={"index": index}) if self._goes_on else event

    def _whole(self, event: DoneEvent) -> DoneEvent:
        response, received_at, before = event.response, self.call.received_at, self._logprobs_before
        # A worker that goes on does not know how likely the tokens before were. A stop string may take some back.
        told = response.logprobs and (*before[: len(response.logprobs)], *response.logprobs[len(before) :])
        own = {
            "logprobs": told,
            "queue_time": self._started_at - received_at,
            "time_to_first_token": (self._first_text_at or self._began_at) - received_at,
            "generation_time": self._began_at - self._started_at + response.generation_time,
        }
        return DoneEvent(response=response.model_copy(update=own))
