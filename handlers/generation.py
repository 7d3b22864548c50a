"""One request's way from its token ids to the events of its answer."""

import math
import random
import time
from collections.abc import Sequence
from itertools import accumulate

from adapter.event_stream import encode_event
from adapter.schema import (
    WORKER_EVENT,
    DoneEvent,
    ErrorEvent,
    FinishReason,
    GenerationResponse,
    Problem,
    PromptLogprob,
    StartEvent,
    StreamEvent,
    TokenLogprob,
    WorkerDelta,
    WorkerRequest,
)
from adapter.tools import ToolCallDelta
from handlers.detokenization import Detokenizer, TokenDecoder
from handlers.grammars import GrammarError
from handlers.logprobs import Logprobs
from handlers.prompts import Prompt
from handlers.stop_strings import StopStrings
from handlers.told_logprobs import told, untold
from handlers.tool_calls import ToolCallReader, joined
from handlers.tool_formats import ToolFormat

# Seconds between two deltas of an answer at least, as each costs TorchServe and the gateway more than a small model's
# step. For a reader no slower than a screen, and while many read, as much slower as keeps all of them together at 330 a
# second, but never so slow that text no longer flows. For who waits for the whole: to show that it goes on.
_READ_INTERVAL, _MOST_READ_INTERVAL, _UNREAD_INTERVAL = 0.02, 0.1, 0.25
_SHARE = 0.003  # of each answer that is read at once


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
        """What tokens without a text of their own are told with is the text after them, or the end."""
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
    """One whose prompt is being encoded: its `start` is not due before, since it says how many tokens these are."""

    @property
    def is_due(self) -> bool:
        return self.is_ended

    def patience(self, _now: float) -> float:
        return math.inf

    def take(self) -> tuple[bytes, bool]:
        return super().take() if self.is_ended else (b"", False)


class TextGeneration(Generation):
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
        self.prompt_logprobs: tuple[PromptLogprob, ...] | None = None  # whoever finds them puts them here
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
        """Goes on behind these, which an earlier worker has told: nothing of them is given again."""
        for token_id in token_ids:
            if self._pending_logprobs is not None:
                self._tell(untold(self._decoder, token_id))
            self._add_token(token_id, self._detokenizer.push(token_id))
        self._forget_pending()

    def push(self, token_ids: Sequence[int], end_reason: FinishReason | None, logprobs: Logprobs | None = None) -> None:
        """Adds tokens; `end_reason` says that they are the engine's last. After a stop string nothing is added.

        logprobs: of the last of them.
        """
        if logprobs is not None and not self.is_ended and end_reason != "stop":
            self._tell(told(self._decoder, token_ids[-1], logprobs))
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
        if mark := self._mark_of_calls(token_id) or self._stop_strings.mark_of(token_id):
            piece += self._detokenizer.flush() + mark
        self._add(piece)

    def _add(self, piece: str) -> None:
        if self.is_ended:
            return
        self._give(self._stop_strings.push(self._text_of(piece)))
        if self._stop_strings.is_found:
            self._end_by("stop_sequence")

    def _text_of(self, piece: str) -> str:
        """What is no part of a call: stop strings are looked for in it alone."""
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

    def _mark_of_calls(self, token_id: int) -> str:
        """What stands for a special token that calls are written with."""
        name = self._decoder.special_tokens.get(token_id)
        return self._calls.mark_of(name) if name and self._calls is not None else ""

    def _end_by(self, reason: FinishReason) -> None:
        has_called = self._calls is not None and bool(self._calls.calls)
        self._finish("tool_calls" if has_called and reason in {"stop", "complete"} else reason)

    def _tell_of_text_alone(self) -> None:
        """Forgets the tokens behind the text. A stream may have told of some, while their text was held back."""
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
            self._tell_of_text_alone()
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
    # Whoever goes on with this answer gives its calls the same ids, and no other answer of a conversation has them.
    same = None if request.seed is None else random.Random(f"{request.id} {request.seed} {len(prompt.ids)}")  # noqa: S311
    return ToolCallReader(
        form,
        [tool.name for tool in request.tools],
        special_tokens=decoder.special_tokens.values(),
        is_required=request.tool_choice == "required",
        chance=same,
    )
