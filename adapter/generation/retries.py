"""Decides which failed attempts of a request are made again, and which events its caller gets."""

from adapter.call import Call
from adapter.errors import ModelNotReady, TorchbridgeError, UpstreamLost, UpstreamUnavailable, WorkerDied, WorkerSilent
from adapter.generation.answer_so_far import AnswerSoFar
from adapter.generation.retry_budget import RetryBudget
from adapter.schema import StartEvent, StreamEvent

TRANSIENT = (WorkerDied, WorkerSilent, UpstreamUnavailable, ModelNotReady)

# A request that was running when two workers died may be what kills them, and everybody else's answers with them.
_MOST_DEATHS, _MOST_SILENCES = 2, 2
_DIED_AGAIN = "The model's worker died on this request, and so did the next one."


class Retries:
    """The attempts of one request.

    The next attempt goes on behind the text that was sent, at most `max_continuations` times. If it cannot, it begins
    anew, unless text has reached the caller; a whole answer's text reaches its caller at the end.

    An attempt that ended with its worker, or with TorchServe, is free: it costs nothing of the retry budget, which is
    for what an overloaded server refuses. A silent worker is free once: its death may follow, which counts for itself.
    An attempt that has sent text did not kill its worker at once, so that it resets the counters.
    """

    def __init__(self, budget: RetryBudget, call: Call, max_continuations: int) -> None:
        self._budget = budget
        self._call = call
        self._answer = AnswerSoFar(call)
        self._num_continuations_left = max_continuations
        self._held_back: list[StreamEvent] = []
        self._has_sent_text = False
        self._num_retries = 0
        self._num_deaths = 0
        self._num_silences = 0

    @property
    def call(self) -> Call:
        """The call for the next attempt."""
        return self._answer.call

    def due(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """The events to pass on now that an attempt has brought `events`: none before the first text."""
        events = self._answer.take(events)
        if not events:
            return []
        if isinstance(events[-1], StartEvent):
            self._held_back = list(events)  # the next attempt has its own, and may be another version's
            return []
        due, self._held_back = self._held_back + events, []
        self._has_sent_text = self._call.is_streamed
        return due

    def delay_after(self, failure: TorchbridgeError) -> float:
        """Seconds until the next attempt. Raises the failure, or a final one, if there must be none."""
        if failure.is_final:
            raise failure
        goes_on = self._goes_on()
        is_free = self._ended_with_its_worker(failure)
        deadline = min(self.call.deadline, self.call.first_text_deadline)
        is_lost = self._has_sent_text and not goes_on
        delay = None if is_lost else self._budget.delay(self._num_retries, deadline, is_free=is_free)
        if delay is None:
            raise failure
        self._num_retries += 1
        self._held_back = []
        return delay

    def _goes_on(self) -> bool:
        """Whether the next attempt goes on with the text so far, or begins anew."""
        if not self._answer.has_grown:
            return bool(self.call.answer_ids)
        if not self._answer.is_known or not self._num_continuations_left:
            self._answer = AnswerSoFar(self._call)
            return False
        self._num_continuations_left -= 1
        self._num_retries = self._num_deaths = self._num_silences = 0
        self._answer.go_on()
        return True

    def _ended_with_its_worker(self, failure: TorchbridgeError) -> bool:
        """Whether the attempt ended with its worker. Raises if that happened too often."""
        if isinstance(failure, WorkerSilent):
            self._num_silences += 1
            if self._num_silences == _MOST_SILENCES:
                raise failure
            return True
        if isinstance(failure, WorkerDied | UpstreamLost):
            self._num_deaths += 1
            if self._num_deaths == _MOST_DEATHS:
                raise WorkerDied(_DIED_AGAIN, cause=failure.with_cause, is_final=True) from failure
            return True
        return False
