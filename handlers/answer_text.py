"""One request's way from the engine's tokens to the text of its answer."""

import math
import random
import time
from collections.abc import Sequence
from itertools import accumulate

from adapter.schema import (
    DoneEvent,
    FinishReason,
    GenerationResponse,
    PromptLogprob,
    StartEvent,
    TokenLogprob,
    WorkerRequest,
)
from handlers.contract_logprobs import token_logprob, unknown_logprob
from handlers.detokenization import Detokenizer, TokenDecoder
from handlers.generation import Generation
from handlers.grammars import GrammarError
from handlers.logprobs import Logprobs
from handlers.prompt_builder import Prompt
from handlers.stop_strings import StopStrings
from handlers.tool_calls import ToolCallReader
from handlers.tool_formats import ToolFormat

# The least seconds between two deltas of an answer, as each costs TorchServe and the gateway more than a small model's
# step: for a stream; for one of many streams, which together have 330 deltas a second; for an answer that nobody reads
# while it grows, to show that it goes on.
_READ_INTERVAL, _MOST_READ_INTERVAL, _UNREAD_INTERVAL = 0.02, 0.1, 0.25
_SHARE = 0.003  # for each answer that is read at the same time


class AnswerText(Generation):
    """A generation that the engine runs."""

    def __init__(self, start: StartEvent, request: WorkerRequest, decoder: TokenDecoder, prompt: Prompt) -> None:
        """`prompt`: as the engine was given it."""
        super().__init__(start, _READ_INTERVAL if request.stream else _UNREAD_INTERVAL)
        self.is_read = request.stream
        # What an assistant says is a text of its own, and what has a form. Any other answer goes on in the prompt's.
        is_own_text = request.messages is not None or request.output is not None
        self._detokenizer = Detokenizer(decoder, () if is_own_text else prompt.ids)
        self._stop_strings = StopStrings(request.stop, decoder.special_tokens)
        self._constraint = prompt.constraint
        self.prompt_logprobs: tuple[PromptLogprob, ...] | None = None  # put here when they are found
        self._calls = None if prompt.tool_format is None else _call_reader(prompt, prompt.tool_format, request, decoder)
        self._text: list[str] = []
        self._decoder = decoder
        self._logprobs: list[TokenLogprob] = []
        self._pending_logprobs = None if request.logprobs is None else []
        self._num_tokens = 0
        self._started_at = time.monotonic()
        self._first_text_at: float | None = None

    @property
    def failure(self) -> Exception:
        """Why the engine can give no more tokens."""
        reason = None if self._constraint is None else self._constraint.failure
        return FloatingPointError() if reason is None else GrammarError(reason)

    def patience(self, now: float) -> float:
        return super().patience(now) if self._num_tokens else math.inf

    def write_among(self, count: int) -> None:
        if self.is_read:
            self._interval = min(max(_READ_INTERVAL, count * _SHARE), _MOST_READ_INTERVAL)

    def replay(self, token_ids: Sequence[int]) -> None:
        """Goes on behind tokens that an earlier worker has sent: nothing of them is sent again."""
        for token_id in token_ids:
            if self._pending_logprobs is not None:
                self._tell(unknown_logprob(self._decoder, token_id))
            self._add_token(token_id, self._detokenizer.push(token_id))
        self._forget_pending()

    def push(self, token_ids: Sequence[int], end_reason: FinishReason | None, logprobs: Logprobs | None = None) -> None:
        """Adds tokens; `end_reason` says that they are the engine's last. After a stop string nothing is added.

        logprobs: of the last of them.
        """
        if logprobs is not None and not self.is_ended and end_reason != "stop":
            self._tell(token_logprob(self._decoder, token_ids[-1], logprobs))
        for token_id in token_ids[:-1] if end_reason == "stop" else token_ids:
            self._add_token(token_id, self._detokenizer.push(token_id))
        if end_reason == "stop":
            self._add_token(token_ids[-1], "")  # the token that says so has no text
        if end_reason is not None:
            self._add(self._detokenizer.flush())
        if end_reason is not None and not self.is_ended:
            self._give(self._stop_strings.push(self._calls.flush() if self._calls else ""))
            self._give(self._stop_strings.flush())
            self._end_by("stop_sequence" if self._stop_strings.is_found else end_reason)

    def _tell(self, logprobs: TokenLogprob) -> None:
        self._logprobs.append(logprobs)
        if self._pending_logprobs is not None:
            self._pending_logprobs.append(logprobs)

    def _add_token(self, token_id: int, piece: str) -> None:
        if not self.is_ended:
            self._num_tokens += 1
            self._pending_ids.append(token_id)
        if placeholder := self._placeholder_of_calls(token_id) or self._stop_strings.placeholder_of(token_id):
            piece += self._detokenizer.flush() + placeholder
        self._add(piece)

    def _add(self, piece: str) -> None:
        if self.is_ended:
            return
        self._give(self._stop_strings.push(self._text_of(piece)))
        if self._stop_strings.is_found:
            self._end_by("stop_sequence")

    def _text_of(self, piece: str) -> str:
        """The part of the text that is no call: stop strings are looked for in it alone."""
        if self._calls is None:
            return piece
        text, deltas = self._calls.push(piece)
        if deltas:
            self._first_text_at = self._first_text_at or time.monotonic()
            self._pending_calls += deltas
        return text

    def _give(self, piece: str) -> None:
        if piece:
            self._first_text_at = self._first_text_at or time.monotonic()
            self._text.append(piece)
            self._pending += piece

    def _placeholder_of_calls(self, token_id: int) -> str:
        """Stands for a special token that calls are written with."""
        name = self._decoder.special_tokens.get(token_id)
        return self._calls.placeholder_of(name) if name and self._calls is not None else ""

    def _end_by(self, reason: FinishReason) -> None:
        has_called = self._calls is not None and bool(self._calls.calls)
        self._finish("tool_calls" if has_called and reason in {"stop", "complete"} else reason)

    def _forget_tokens_behind_text(self) -> None:
        """Forgets the tokens behind the text. A stream may have sent some of them, while their text was held back."""
        num_bytes = len("".join(self._text).encode())
        before = accumulate((len(told.bytes) for told in self._logprobs), initial=0)
        num_kept = sum(begin < num_bytes for begin in before)
        num_untold = len(self._logprobs[num_kept:])
        del self._logprobs[num_kept:]
        if self._pending_logprobs is not None and num_untold:
            del self._pending_logprobs[-num_untold:]

    def _finish(self, reason: FinishReason) -> None:
        now = time.monotonic()
        if reason == "stop_sequence":
            self._forget_tokens_behind_text()
        logprobs = None if self._pending_logprobs is None else tuple(self._logprobs)
        self._end = DoneEvent(
            response=GenerationResponse(
                text="".join(self._text),
                tokens_generated=self._num_tokens,
                generation_time=now - self._started_at,
                id=self.id,
                model=self._start.model,
                model_version=self._start.model_version,
                model_digest=self._start.model_digest,
                finish_reason=reason,
                prompt_tokens=self._start.prompt_tokens,
                queue_time=0.0,  # the gateway knows it: only it saw the request before TorchServe's queue
                time_to_first_token=(self._first_text_at or now) - self._started_at,
                logprobs=logprobs,
                tool_calls=None if self._calls is None else self._calls.calls,
                prompt_logprobs=self.prompt_logprobs,
            )
        )


def _call_reader(prompt: Prompt, form: ToolFormat, request: WorkerRequest, decoder: TokenDecoder) -> ToolCallReader:
    # A worker that goes on with this answer gives its calls the same ids, although its request has another one. No
    # other answer of a conversation has them.
    same = None if request.seed is None else random.Random(f"{request.seed} {list(prompt.ids)}")  # noqa: S311
    return ToolCallReader(
        form,
        [tool.name for tool in request.tools],
        special_tokens=decoder.special_tokens.values(),
        is_required=request.tool_choice == "required",
        chance=same,
    )
