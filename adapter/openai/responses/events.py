"""One streamed response as the events of OpenAI's: of the response, of each item of its output, and of its content."""

from collections.abc import Callable, Sequence

from adapter.http.openai_problem import OpenAIProblem
from adapter.openai.event_data import event_data
from adapter.openai.responses import answers
from adapter.openai.responses.answers import COMPLETED, INCOMPLETE, Json
from adapter.openai.responses.growing import Events, GrowingCall, GrowingText
from adapter.openai.responses.schema import ResponseRequest
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    GenerationResponse,
    Problem,
    SamplingDefaults,
    StartEvent,
    StreamEvent,
    TokenLogprob,
)
from adapter.tools import ToolCallDelta


class ResponseEvents:
    """The Encoding of one stream. defaults_of: the sampling defaults of a model and version."""

    def __init__(
        self, request: ResponseRequest, defaults_of: Callable[[str, str], SamplingDefaults], created_at: float
    ) -> None:
        self._request, self._defaults_of, self._created_at = request, defaults_of, created_at
        self._num_events = 0
        self._answer_id = ""
        self._fixed: Json = {}
        self._output: list[Json] = []
        self._growing: GrowingText | GrowingCall | None = None

    def is_start(self, event: StreamEvent) -> bool:
        return isinstance(event, StartEvent)

    def encode(self, events: list[StreamEvent]) -> bytes:
        return b"".join(self._numbered(name, rest) for event in events for name, rest in self._told(event))

    def encode_failure(self, problem: Problem) -> bytes:
        """First the failed response, for callers who wait for its end; by `error` clients raise their own error."""
        output = self._output + ([self._growing.item(INCOMPLETE)] if self._growing else [])
        response = answers.failed(self._fixed, output, problem)
        error = OpenAIProblem.from_problem(problem).error.model_dump(mode="json")
        told = {key: error[key] for key in ("code", "message", "param")} | {"error": error}
        return self._numbered("response.failed", {"response": response}) + self._numbered("error", told)

    def _numbered(self, name: str, rest: Json) -> bytes:
        data = {"type": name, "sequence_number": self._num_events} | rest
        self._num_events += 1
        return b"event: " + name.encode() + b"\n" + event_data(data)

    def _told(self, event: StreamEvent) -> Events:
        match event:
            case StartEvent():
                yield from self._begin(event)
            case DeltaEvent(text=text, logprobs=told, tool_calls=calls):
                if text or (told and not calls):
                    yield from self._more_text(text, told or ())
                for call in calls or ():
                    yield from self._more_of_call(call)
            case DoneEvent(response=response):
                yield from self._end(response)

    def _begin(self, event: StartEvent) -> Events:
        defaults = self._defaults_of(event.model, event.model_version)
        self._answer_id = event.id
        self._fixed = answers.begun(self._request, event, defaults, self._created_at)
        yield "response.created", {"response": self._fixed}
        yield "response.in_progress", {"response": self._fixed}

    def _more_text(self, text: str, told: Sequence[TokenLogprob]) -> Events:
        if not isinstance(self._growing, GrowingText):
            yield from self._open_text()
        if isinstance(self._growing, GrowingText):
            yield from self._growing.more(text, told)

    def _more_of_call(self, call: ToolCallDelta) -> Events:
        if call.id is not None:
            yield from self._close(COMPLETED)
            self._growing = GrowingCall(len(self._output), call.id, call.name or "")
            yield from self._growing.open()
        if call.arguments and isinstance(self._growing, GrowingCall):
            yield from self._growing.more(call.arguments)

    def _end(self, response: GenerationResponse) -> Events:
        status = answers.status_of(response)
        if self._growing is None:
            yield from self._open_text()  # an answer of no text is an empty message
        yield from self._close(status)
        yield f"response.{status}", {"response": answers.ended(self._fixed, self._output, response)}

    def _open_text(self) -> Events:
        yield from self._close(COMPLETED)
        self._growing = GrowingText(len(self._output), self._answer_id)
        yield from self._growing.open()

    def _close(self, status: str) -> Events:
        if self._growing is None:
            return
        yield from self._growing.close(status)
        self._output.append(self._growing.item(status))
        self._growing = None
