"""One answer of a script, as a worker would tell it: by tokens, which are words with the space before them."""

import json
import time
from collections.abc import Iterator, Sequence
from zlib import crc32

from adapter.call import Call
from adapter.errors import GenerationFailed
from adapter.schema import DeltaEvent, FinishReason, GenerationRequest, StreamEvent, WorkerDelta
from adapter.simulator.script import Called, Rule, last_words, tokens_of
from adapter.simulator.telling import Telling
from adapter.tools import ToolCall

_LARGEST_TOKEN = 2**31 - 1


class Answer:
    """It has the length and the end that the request asks for. Its form is the script's, whatever `output` asks for.

    num_before: tokens that another worker has told. Raises GenerationFailed where they are not its own.
    """

    def __init__(self, request: GenerationRequest, call: Call, rule: Rule) -> None:
        self._began_at = self._first_at = time.monotonic()
        self._received_at = call.received_at
        said, finish_reason = _ended(rule.said, request)
        calls = _calls_of(rule.calls if finish_reason == "stop" else (), request, call.request_id)
        self._telling = Telling(
            request,
            call.request_id,
            said[: request.max_length],
            prompt_tokens=len(getattr(request, "prompt_ids", None) or last_words(request).split()),
            finish_reason="tool_calls" if calls else finish_reason,
            calls=calls,
        )
        self._deltas = [_with_token(delta) for delta in self._telling.deltas()]
        self.num_before = len(call.answer_ids)
        if call.answer_ids != tuple(delta.ids[0] for delta in self._deltas[: self.num_before] if delta.ids):
            raise GenerationFailed("The script goes on with another text than the one that was begun.")

    @property
    def start(self) -> StreamEvent:
        return self._telling.start

    def deltas(self) -> Iterator[StreamEvent]:
        """Behind those that were told."""
        for index, delta in enumerate(self._deltas[self.num_before :]):
            if not index:
                self._first_at = time.monotonic()
            yield delta.model_copy(update={"index": index})

    def done(self) -> StreamEvent:
        return self._telling.done(
            generation_time=time.monotonic() - self._began_at,
            queue_time=self._began_at - self._received_at,
            time_to_first_token=self._first_at - self._received_at,
        )


def _with_token(delta: DeltaEvent) -> WorkerDelta:
    """Each is one token, whose id follows from what it says."""
    token = crc32(repr((delta.text, delta.tool_calls)).encode()) & _LARGEST_TOKEN
    return WorkerDelta(**dict(delta), ids=(token,))


def _calls_of(called: Sequence[Called], request: GenerationRequest, answer_id: str) -> tuple[ToolCall, ...] | None:
    """None for a request without tools, and no more than one if it wants them one by one."""
    if not getattr(request, "tools", ()):
        return None
    most = None if getattr(request, "parallel_tool_calls", True) else 1
    return tuple(
        ToolCall(id=f"call_{answer_id}_{index}", name=each.name, arguments=json.dumps(each.arguments))
        for index, each in enumerate(called[:most])
    )


def _ended(text: str, request: GenerationRequest) -> tuple[list[str], FinishReason]:
    """All tokens up to the first of the texts at which the answer is to end."""
    stops = [place for stop in request.stop if (place := text.find(stop)) >= 0]
    tokens = tokens_of(text[: min(stops)] if stops else text)
    if len(tokens) > request.max_length:
        return tokens, "length"
    return tokens, "stop_sequence" if stops else "stop"
