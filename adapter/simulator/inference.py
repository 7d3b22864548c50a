"""The seam at which the simulated model takes TorchServe's place: everything above it is the gateway's own."""

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Self

from adapter.call import Arrivals, Call
from adapter.errors import ERROR_BY_CODE
from adapter.schema import (
    ERROR_CATALOGUE,
    DeltaEvent,
    DoneEvent,
    GenerationRequest,
    GenerationResponse,
    StartEvent,
    StreamEvent,
)
from adapter.simulator.script import Performance, Rule, Script, last_words
from adapter.torchserve.inference_client import InferenceClient

MODEL_DIGEST = "0" * 64
_WORD_OF_A_RULE = "The simulated model was told to fail."


class ConnectionCut(asyncio.CancelledError):
    """Goes past all that would make an answer of it, so that the server closes the connection."""


class SimulatedInference(InferenceClient):
    def __init__(self, script: Script) -> None:
        self._performance = Performance(script)
        self._heard = -math.inf

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    def heard_at(self, model: str, version: str) -> float:
        """It always answers: a script's failures are no sign that a worker is gone."""
        del model, version
        return time.monotonic()

    async def stream(self, request: GenerationRequest, call: Call) -> Arrivals:
        rule = self._performance.rule_for(request)
        began_at = time.monotonic()
        if not rule.after_tokens:
            await _go_wrong(rule)
        answer = _Answer(request, call, rule)
        yield [answer.start]
        await asyncio.sleep(rule.first_token_seconds)
        for index, event in enumerate(answer.deltas()):
            if index:
                await asyncio.sleep(rule.token_seconds)
            yield [event]
            if index + 1 == rule.after_tokens:
                await _go_wrong(rule)
        yield [answer.done(began_at)]


async def _go_wrong(rule: Rule) -> None:
    if rule.fails is not None:
        title = ERROR_CATALOGUE[rule.fails].title
        raise ERROR_BY_CODE[rule.fails](f"{title}.", cause=_WORD_OF_A_RULE, retry_after=rule.retry_after)
    if rule.cuts:
        raise ConnectionCut
    if rule.stalls:
        await asyncio.Event().wait()


class _Answer:
    def __init__(self, request: GenerationRequest, call: Call, rule: Rule) -> None:
        tokens = rule.tokens
        self._tokens = tokens[: request.max_length]
        self._finish_reason: str = "stop" if len(self._tokens) == len(tokens) else "length"
        self._prompt_tokens = len(last_words(request).split())
        self._call = call
        self._version = {
            "id": call.request_id,
            "model": request.model,
            "model_version": request.model_version,
            "model_digest": MODEL_DIGEST,
        }

    @property
    def start(self) -> StreamEvent:
        return StartEvent.model_validate(self._version | {"prompt_tokens": self._prompt_tokens})

    def deltas(self) -> Iterator[StreamEvent]:
        for index, text in enumerate(self._tokens):
            yield DeltaEvent(index=index, text=text)

    def done(self, began_at: float) -> StreamEvent:
        now = time.monotonic()
        response = GenerationResponse.model_validate(
            self._version
            | {
                "text": "".join(self._tokens),
                "tokens_generated": len(self._tokens),
                "generation_time": now - began_at,
                "finish_reason": self._finish_reason,
                "prompt_tokens": self._prompt_tokens,
                "queue_time": began_at - self._call.received_at,
                "time_to_first_token": began_at - self._call.received_at,
            }
        )
        return DoneEvent(response=response)
