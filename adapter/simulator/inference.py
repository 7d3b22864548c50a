"""The seam at which the simulated model takes TorchServe's place: everything above it is the gateway's own."""

import asyncio
import time
from typing import Self

from adapter.call import Arrivals, Call
from adapter.errors import ERROR_BY_CODE, TorchbridgeError
from adapter.schema import ERROR_CATALOGUE, ErrorCode, GenerationRequest
from adapter.simulator.answer import Answer
from adapter.simulator.script import Performance, Rule, Script
from adapter.simulator.torchserve_failures import TORCHSERVE_FAILURES, torchserve_failure
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.worker_watch import CUT

_WORD_OF_A_RULE = "The simulated model was told to fail."


class ConnectionCut(asyncio.CancelledError):
    """Goes past all that would make an answer of it, so that the server closes the connection."""


class SimulatedInference(InferenceClient):
    def __init__(self, script: Script) -> None:
        self._performance = Performance(script)

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
        if rule.after_tokens <= answer.num_before:
            await _go_wrong(rule, request)
        yield [answer.start]
        await asyncio.sleep(rule.first_token_seconds)
        for index, event in enumerate(answer.deltas()):
            if index:
                await asyncio.sleep(rule.token_seconds)
            yield [event]
            if answer.num_before + index + 1 == rule.after_tokens:
                await _go_wrong(rule, request)
        yield [answer.done()]


async def _go_wrong(rule: Rule, request: GenerationRequest) -> None:
    if rule.fails is not None:
        failure = _failure(rule.fails, request, is_begun=rule.after_tokens > 0)
        failure.retry_after = rule.retry_after
        raise failure
    if rule.cuts:
        raise ConnectionCut
    if rule.stalls:
        await asyncio.Event().wait()


def _failure(code: ErrorCode, request: GenerationRequest, *, is_begun: bool) -> TorchbridgeError:
    """As the gateway has it of TorchServe, where that has a word for it. is_begun: whether some text was told."""
    if not is_begun and code in TORCHSERVE_FAILURES:
        return torchserve_failure(code, request.model or "", request.model_version or "")
    detail = CUT if is_begun and code is ErrorCode.WORKER_DIED else f"{ERROR_CATALOGUE[code].title}."
    return ERROR_BY_CODE[code](detail, cause=_WORD_OF_A_RULE)
