"""What of one request is run again, how often, and what its caller then gets of it."""

from adapter.call import Call
from adapter.errors import ModelNotReady, TorchbridgeError, UpstreamLost, UpstreamUnavailable, WorkerDied, WorkerSilent
from adapter.generation.answer_so_far import AnswerSoFar
from adapter.generation.retry_budget import RetryBudget
from adapter.schema import StartEvent, StreamEvent

MAY_PASS = (WorkerDied, WorkerSilent, UpstreamUnavailable, ModelNotReady)

# What was there when two workers died may be what kills them, and everybody else's answers with them.
_MOST_DEATHS, _MOST_SILENCES = 2, 2
_DIED_AGAIN = "The model's worker died on this request, and so did the next one."


class Retries:
    """Of one request. What an attempt has told is not told again: the next one goes on behind it, `max_continuations`
    times. What cannot be gone on with is run again, unless text has reached its caller; that of a unary answer comes at
    its end.

    What died with its worker, or with TorchServe, is run again whatever the budget says: that is for what an
    overloaded server refuses, and those who were there when it died did not overload it. So is what stood still with
    its worker, once: that may end by the worker's death, which counts for itself. An attempt that has told some
    text was not what killed its worker at once, so that it counts anew.
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
        """For the next attempt."""
        return self._answer.call

    def due(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """What is to be passed on now that an attempt has brought `events`: nothing before the first text."""
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
        """Seconds until the next attempt. Raises the failure, or a final one, where there must be none."""
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
        """Whether the next attempt goes on with what the last ones have told, or begins anew."""
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
        """Raises where it has done so too often."""
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
