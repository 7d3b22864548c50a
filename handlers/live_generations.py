"""The answers of the requests that are live, by TorchServe's ids. What fails ends one of them, and no other."""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch

from adapter.schema import ErrorCode, Problem, StartEvent
from handlers.answer_text import AnswerText
from handlers.engine_news import EndReason
from handlers.generation import Generation, PendingGeneration
from handlers.grammars import GrammarError
from handlers.incoming_request import RefusedRequest
from handlers.logprobs import Logprobs

logger = logging.getLogger(__name__)


class LiveGenerations:
    def __init__(self) -> None:
        self._by_id: dict[str, Generation] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._by_id

    @property
    def unended(self) -> set[str]:
        return {request_id for request_id, generation in self._by_id.items() if not generation.is_ended}

    @property
    def is_due(self) -> bool:
        """Whether something of one of them should be taken at once."""
        return any(generation.is_due for generation in self._by_id.values())

    @property
    def patience(self) -> float:
        """Seconds in which tokens may come together, unless one of them is urgent."""
        now = time.monotonic()
        return min((generation.patience(now) for generation in self._by_id.values()), default=math.inf)

    def keep_only(self, ids: Iterable[str], starts: Mapping[str, StartEvent]) -> None:
        """Forgets all others. starts: for the new ones among `ids`, before anybody has counted their prompts."""
        pending = {request_id: PendingGeneration(start) for request_id, start in starts.items()}
        self._by_id = {request_id: pending.get(request_id) or self._by_id[request_id] for request_id in ids}
        num_read = sum(generation.is_read for generation in self._by_id.values())
        for generation in self._by_id.values():
            generation.write_among(num_read)

    def start_of(self, request_id: str, prompt_tokens: int) -> StartEvent:
        return self._by_id[request_id].start_with(prompt_tokens)

    def begin(self, request_id: str, generation: AnswerText) -> None:
        """Puts it in the place of the one whose prompt was awaited."""
        self._by_id[request_id] = generation

    @contextmanager
    def alone(self, request_id: str) -> Iterator[None]:
        """Ends this request alone with whatever is raised inside."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except RefusedRequest as refusal:
            self.fail(request_id, refusal)
        except BaseException as error:  # a panic of the tokenizers' Rust is no Exception
            logger.exception("request %s failed", request_id)
            self.fail(request_id, error)

    def push(self, request_id: str, token_id: int, end_reason: EndReason | None, logprobs: Logprobs | None) -> None:
        generation = self._by_id.get(request_id)
        if not isinstance(generation, AnswerText):
            return
        if end_reason == "failed":
            self.fail(request_id, generation.failure)
        else:
            generation.push([token_id], end_reason, logprobs)

    def take(self, request_id: str) -> tuple[bytes, bool]:
        """The encoded events that are due, and whether they are the last."""
        generation = self._by_id[request_id]
        try:
            return generation.take()
        except Exception as error:
            logger.exception("the events of request %s cannot be written", request_id)
            generation.discard()
            self.fail(request_id, error)
            return generation.take()

    def fail(self, request_id: str, error: BaseException) -> None:
        """Ends a generation, if it is still there."""
        generation = self._by_id.get(request_id)
        if generation is None:
            return
        if isinstance(error, RefusedRequest):  # before its start
            generation = self._by_id[request_id] = Generation(generation.start_with(error.prompt_tokens))
        code, detail = _explain(error)
        generation.fail(Problem.of(code, detail, request_id=generation.id))


def _explain(error: BaseException) -> tuple[ErrorCode, str]:
    """The code and the words for the caller. What went wrong with us stays in the log."""
    match error:
        case RefusedRequest():
            return error.code, error.detail
        case TimeoutError():
            return ErrorCode.DEADLINE_EXCEEDED, "Nobody collected the answer in time."
        case MemoryError() | torch.OutOfMemoryError():
            return ErrorCode.OUT_OF_MEMORY, "The model ran out of memory on this request."
        case GrammarError():
            return ErrorCode.GENERATION_FAILED, "It became too much work to keep the output that was asked for."
        case FloatingPointError():
            return ErrorCode.GENERATION_FAILED, "The model's numbers are not finite for this request."
        case _:
            return ErrorCode.GENERATION_FAILED, "The model failed on this request."
