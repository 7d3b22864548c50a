"""Whether the default model, or one in its place, answers: known by its last events, not by TorchServe's word alone."""

import asyncio
import time
from contextlib import aclosing
from typing import NamedTuple, Self

from adapter.call import Call
from adapter.errors import InvalidRequest, ModelNotReady, PromptTooLong, TorchbridgeError
from adapter.schema import GenerationRequest
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.sample_answer import SAMPLE_PROMPT
from adapter.torchserve.served_models import PinnedVersion

# Seconds. More frequent checks cost no more, and a worker that has just written is not asked.
_FRESH = 2.0
# For an answer of the management API, and then for any event. A model needs less for one token, but a busy one may read
# a long prompt meanwhile; probes of orchestrators and proxies give up after 1 to 10.
_LONGEST_LOOK, _LONGEST_SILENCE = 2.0, 5.0
_SECONDS_BETWEEN_LOOKS = 0.05


class Readiness:
    """It is open inside of `async with`, and lives in one event loop.

    Where nothing was heard of late it has the workers generate one token, past all that counts or limits requests, and
    once for all who ask meanwhile. Any event will do for an answer: a worker may be busy with others.
    """

    def __init__(self, registry: ModelRegistry, inference: InferenceClient) -> None:
        self._registry = registry
        self._inference = inference
        self._checks: dict[PinnedVersion, _LivenessCheck] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        checks = [check.task for check in self._checks.values()]
        for task in checks:
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def check(self) -> None:
        """Raises what ModelRegistry.resolve_any raises, or ModelNotReady, all within seconds."""
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                pinned = await self._registry.resolve_any()
        except TimeoutError:
            raise ModelNotReady("TorchServe has not answered in time.") from None
        await self._hear_of(pinned, asked_at - _FRESH)

    async def _hear_of(self, pinned: PinnedVersion, since: float) -> None:
        check = None
        while self._inference.heard_at(pinned.model, pinned.version) < since:
            check = check or self._begun_check(pinned)
            if check.task.done():
                if failure := check.task.result():
                    raise ModelNotReady("The model's worker does not answer.", cause=failure.with_cause)
                return
            if time.monotonic() - check.began_at > _LONGEST_SILENCE:
                raise ModelNotReady("The model's worker is silent.")
            await asyncio.wait({check.task}, timeout=_SECONDS_BETWEEN_LOOKS)

    def _begun_check(self, pinned: PinnedVersion) -> "_LivenessCheck":
        """The check that is under way: a silent worker must not get one more at each look."""
        check = self._checks.get(pinned)
        if check is None:
            check = self._checks[pinned] = _LivenessCheck(asyncio.create_task(self._ask(pinned)), time.monotonic())
            check.task.add_done_callback(lambda _: self._checks.pop(pinned))
        return check

    async def _ask(self, pinned: PinnedVersion) -> TorchbridgeError | None:
        """The failure, if there was no answer."""
        request = GenerationRequest(
            prompt=SAMPLE_PROMPT, max_length=1, temperature=0, model=pinned.model, model_version=pinned.version
        )
        call = Call("readiness", time.monotonic(), is_streamed=False)
        try:
            async with aclosing(self._inference.stream(request, call)) as arrivals:
                async for _ in arrivals:
                    pass
        except (InvalidRequest, PromptTooLong):
            return None  # so the worker has looked at the prompt: not every tokenizer can write it
        except TorchbridgeError as error:
            return error
        return None


class _LivenessCheck(NamedTuple):
    task: asyncio.Task[TorchbridgeError | None]
    began_at: float  # time.monotonic()
