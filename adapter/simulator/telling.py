"""The events in which a worker tells an answer, whoever made up what it says."""

from collections.abc import Iterator, Sequence

from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    FinishReason,
    GenerationRequest,
    GenerationResponse,
    StartEvent,
    StreamEvent,
    TokenLogprob,
    TopLogprob,
)
from adapter.tools import ToolCall, ToolCallDelta

MODEL_DIGEST = "0" * 64


class Telling:
    """tokens: of the text, each of which is a delta. calls: of tools, behind the text; None where there are none."""

    def __init__(
        self,
        request: GenerationRequest,
        answer_id: str,
        tokens: Sequence[str],
        *,
        prompt_tokens: int,
        finish_reason: FinishReason = "stop",
        calls: Sequence[ToolCall] | None = None,
    ) -> None:
        self._tokens, self._finish_reason = tokens, finish_reason
        self._calls = None if calls is None else tuple(calls)
        self._num_top = request.logprobs
        self._prompt_tokens = prompt_tokens
        self._version = {
            "id": answer_id,
            "model": request.model,
            "model_version": request.model_version,
            "model_digest": MODEL_DIGEST,
        }

    @property
    def start(self) -> StreamEvent:
        return StartEvent.model_validate(self._version | {"prompt_tokens": self._prompt_tokens})

    def deltas(self) -> Iterator[DeltaEvent]:
        for index, text in enumerate(self._tokens):
            logprobs = None if self._num_top is None else (self._logprob(index, text),)
            yield DeltaEvent(index=index, text=text, logprobs=logprobs)
        for index, piece in enumerate(self._pieces_of_calls(), start=len(self._tokens)):
            yield DeltaEvent(index=index, text="", tool_calls=(piece,))

    def done(
        self, *, generation_time: float, queue_time: float = -1.0, time_to_first_token: float = -1.0
    ) -> StreamEvent:
        """In seconds. What a worker says of the last two counts for nothing: the gateway takes these times itself."""
        logprobs = tuple(self._logprob(index, text) for index, text in enumerate(self._tokens))
        response = GenerationResponse.model_validate(
            self._version
            | {
                "text": "".join(self._tokens),
                "tokens_generated": len(self._tokens) + sum(1 for _ in self._pieces_of_calls()),
                "generation_time": generation_time,
                "finish_reason": self._finish_reason,
                "prompt_tokens": self._prompt_tokens,
                "queue_time": queue_time,
                "time_to_first_token": time_to_first_token,
                "tool_calls": self._calls,
                "logprobs": None if self._num_top is None else logprobs,
            }
        )
        return DoneEvent(response=response)

    def _pieces_of_calls(self) -> Iterator[ToolCallDelta]:
        for index, call in enumerate(self._calls or ()):
            yield ToolCallDelta(index=index, id=call.id, name=call.name, arguments="")
            yield ToolCallDelta(index=index, id=None, name=None, arguments=call.arguments)

    def _logprob(self, index: int, text: str) -> TokenLogprob:
        """It is sure of what it says."""
        token = TopLogprob(id=index, token=text, bytes=tuple(text.encode()), logprob=0.0)
        return TokenLogprob(**token.model_dump(), top=(token,) if self._num_top else ())
