"""The seam at which the simulated model takes TorchServe's place: everything above it is the gateway's own."""

import asyncio
import math
import time
from typing import Self

from adapter.call import Arrivals, Call
from adapter.errors import ERROR_BY_CODE
from adapter.schema import ERROR_CATALOGUE, GenerationRequest
from adapter.simulator.answer import Answer
from adapter.simulator.script import Performance, Rule, Script
from adapter.torchserve.inference_client import InferenceClient

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
        answer = Answer(request, call, rule)
        if not rule.after_tokens:
            await _go_wrong(rule)
        yield [answer.start]
        await asyncio.sleep(rule.first_token_seconds)
        for index, event in enumerate(answer.deltas()):
            if index:
                await asyncio.sleep(rule.token_seconds)
            yield [event]
            if index + 1 == rule.after_tokens:
                await _go_wrong(rule)
        yield [answer.done()]


async def _go_wrong(rule: Rule) -> None:
    if rule.fails is not None:
        title = ERROR_CATALOGUE[rule.fails].title
        raise ERROR_BY_CODE[rule.fails](f"{title}.", cause=_WORD_OF_A_RULE, retry_after=rule.retry_after)
    if rule.cuts:
        raise ConnectionCut
    if rule.stalls:
        await asyncio.Event().wait()
