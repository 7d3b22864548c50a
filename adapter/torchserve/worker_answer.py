"""The rules that a worker's answer must keep, from bytes to events. No sockets."""

import time
from collections.abc import Iterator

from adapter.errors import ERROR_BY_CODE, TorchbridgeError, UpstreamProtocol, from_problem
from adapter.event_stream import EventDecoder, EventStreamError
from adapter.schema import (
    ERROR_CATALOGUE,
    WORKER_EVENT,
    DeltaEvent,
    DoneEvent,
    ErrorCode,
    ErrorEvent,
    GenerationResponse,
    Problem,
    StartEvent,
    StreamEvent,
    WorkerRequest,
)
from adapter.timeline import Attempt

# A worker can know these, and nothing of keys, routes, other versions or the way that its answer takes.
CALLERS_FAULTS = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.PROMPT_TOO_LONG})
WORKERS_FAULTS = frozenset({ErrorCode.GENERATION_FAILED, ErrorCode.OUT_OF_MEMORY, ErrorCode.DEADLINE_EXCEEDED})


class WorkerAnswer:
    """One answer: `start`, deltas in order, then `done` as the last. It also takes the times that only we can take.

    `received_at` is when the request came to us: time.monotonic(). `attempt` is told when the worker did what.
    """

    def __init__(self, request: WorkerRequest, received_at: float, attempt: Attempt | None = None) -> None:
        self._asked = request.id, request.model, request.model_version  # not all of it: answers may last
        self._received_at = received_at
        self._attempt = attempt or Attempt()
        self._decoder = EventDecoder(WORKER_EVENT)
        self._started_at: float | None = None
        self._first_text_at: float | None = None
        self._num_deltas = 0

    def feed(self, chunk: bytes) -> Iterator[list[StreamEvent]]:
        """The events that `chunk` completes, together; then an `error` event is raised as what it stands for."""
        try:
            events = list(self._decoder.feed(chunk))
        except EventStreamError as error:
            raise _no_sense(str(error)) from error
        if any(isinstance(event, DoneEvent | ErrorEvent) for event in events[:-1]):
            raise _no_sense("there are events after the last one")
        passed: list[StreamEvent] = []
        try:
            for event in events:
                passed.append(self._check(event))  # noqa: PERF401 - what passed before a failure is kept
        except TorchbridgeError:
            if passed:
                yield passed
            raise
        if passed:
            yield passed

    def _check(self, event: StreamEvent) -> StreamEvent:
        has_started = self._started_at is not None
        match event:
            case StartEvent() if not has_started and self._is_ours(event):
                self._started_at = time.monotonic()
                self._attempt.note_start()
            case DeltaEvent() if has_started and event.index == self._num_deltas:
                self._num_deltas += 1
                self._first_text_at = self._first_text_at or time.monotonic()
                self._attempt.note_text()
            case DoneEvent() if has_started and self._is_ours(event.response):
                told = event.response
                self._attempt.note_worker_times(told.time_to_first_token, told.generation_time)
                return DoneEvent(response=told.model_copy(update=self._times()))
            case ErrorEvent():
                raise _failure(event.problem)
            case _:
                raise _no_sense(f"unexpected: {event.type}, after {self._num_deltas} deltas")
        return event

    def _is_ours(self, event: StartEvent | GenerationResponse) -> bool:
        return (event.id, event.model, event.model_version) == self._asked

    def _times(self) -> dict[str, float]:
        now = time.monotonic()
        return {
            "queue_time": (self._started_at or now) - self._received_at,
            "time_to_first_token": (self._first_text_at or now) - self._received_at,
        }


def _failure(problem: Problem) -> TorchbridgeError:
    """The worker's words reach the caller only about its own request; others may say where the worker runs."""
    if problem.code in CALLERS_FAULTS:
        return from_problem(problem)
    cause = f"the worker says {problem.code}: {problem.detail!r:.500}"
    if problem.code in WORKERS_FAULTS:
        return ERROR_BY_CODE[problem.code](f"{ERROR_CATALOGUE[problem.code].title}.", cause=cause)
    return _no_sense(cause)


def _no_sense(cause: str) -> UpstreamProtocol:
    return UpstreamProtocol("The model server's answer made no sense.", cause=cause)
