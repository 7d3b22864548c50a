"""One generation, from a valid request to its events: version, admission, deadlines and retries."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial

from adapter.call import Arrivals, Call
from adapter.errors import ModelNotFound, Overloaded, TorchbridgeError, UpstreamProtocol, VersionNotFound
from adapter.generation.admission import Admission
from adapter.generation.canary import Canaries
from adapter.generation.deadlines import within_deadlines
from adapter.generation.metrics import Metrics
from adapter.generation.model_defaults import with_model_defaults
from adapter.generation.older_contracts import refuse_what_the_archive_cannot_know
from adapter.generation.outcomes import End, code_of, counted
from adapter.generation.pinning import Pin
from adapter.generation.rate_limit import RateLimiter
from adapter.generation.response_cache import ResponseCache
from adapter.generation.retries import TRANSIENT, Retries
from adapter.generation.retry_budget import RetryBudget
from adapter.generation.shadow import Shadows
from adapter.generation.timed_attempt import TimedAttempt
from adapter.generation.traffic import Traffic
from adapter.schema import CONTRACT_VERSION, MAX_SEED, DoneEvent, GenerationRequest, GenerationResponse, StreamEvent
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion

_log = logging.getLogger(__name__)


class TextGenerator:
    """Knows nothing of HTTP."""

    def __init__(
        self,
        registry: ModelRegistry,
        inference: InferenceClient,
        *,
        admission: Admission,
        cache: ResponseCache,
        rate_limiter: RateLimiter,
        retry_budget: RetryBudget,
        traffic: Traffic,
        canaries: Canaries,
        max_live: int,
        max_continuations: int,
    ) -> None:
        self._registry = registry
        self._inference = inference
        self._admission = admission
        self._cache = cache
        self._rate_limiter = rate_limiter
        self._max_live = max_live
        self._max_continuations = max_continuations
        self._num_live = 0
        self._retry_budget = retry_budget
        self._traffic = traffic
        self._canaries = canaries
        self.shadows = Shadows(registry, traffic, self._run_shadow)
        self.metrics = Metrics(
            lambda: self._num_live, admission.num_waiting, admission.num_running, admission.longest_wait
        )

    async def stream(self, request: GenerationRequest, call: Call) -> Arrivals:
        """Retries a failure that may pass, behind the text that was sent, so that the caller notices nothing."""
        if call.seed is None:
            call = replace(call, seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed)
        retries = Retries(self._retry_budget, call, self._max_continuations)
        last = None
        with self._live(request, call) as pin:
            await self._admit(call)
            while last is None:
                try:
                    async with aclosing(self._attempt(request, retries.call, pin)) as arrivals:
                        async for events in arrivals:
                            if isinstance(events[-1], DoneEvent):
                                last = retries.due(events)
                                self._count(request, call, last)
                                break
                            if due := retries.due(events):
                                yield due
                                due.clear()  # the next may be long in coming
                except TRANSIENT as failure:
                    await self._pause(retries.delay_after(failure), failure, retries.call, pin)
        # Outside of all `with` blocks: a caller who is slow, or leaves, must hold no slot.
        yield last

    async def complete(self, request: GenerationRequest, call: Call) -> GenerationResponse:
        """The whole answer. Its caller gets nothing before its end, so that all of it can be tried again."""
        async with aclosing(self.stream(request, replace(call, is_streamed=False))) as arrivals:
            async for events in arrivals:
                if isinstance(events[-1], DoneEvent):
                    return events[-1].response
        raise UpstreamProtocol("The model server's answer has no end.")

    async def _pause(self, delay: float, failure: TorchbridgeError, call: Call, pin: Pin) -> None:
        """Waits before the attempt of this `call`."""
        if num_sent := len(call.answer_ids):
            pin.stay()
        behind = f", behind {num_sent} tokens" if num_sent else ""
        _log.warning("%s will be tried again in %.2f s%s: %s", call.request_id, delay, behind, failure.detail)
        self.metrics.add_retry(goes_on=num_sent > 0)
        await asyncio.sleep(delay)

    @contextmanager
    def _live(self, request: GenerationRequest, call: Call) -> Iterator[Pin]:
        pin = Pin(self._registry, self._traffic, self._canaries, request, call)
        self._num_live += 1
        try:
            yield pin
        except BaseException as error:
            code, model = code_of(error), pin.pinned.model if pin.pinned else ""
            self.metrics.add_failure(code, pin.pinned)
            self.metrics.gen_ai.add_failure(request, code, model, call.received_at)
            if call.trace is not None:
                call.trace.add_generation(request, call, error, model)
            raise
        finally:
            self._num_live -= 1

    def _count(self, request: GenerationRequest, call: Call, last: list[StreamEvent]) -> None:
        if isinstance(last[-1], DoneEvent):
            response = last[-1].response
            self.metrics.add_answer(response)
            self.metrics.gen_ai.add_answer(request, response, call.received_at)
            if call.trace is not None:
                call.trace.add_generation(request, call, response, response.model)

    async def _admit(self, call: Call) -> None:
        if not call.is_background:  # otherwise a batch would leave its caller no live call
            await self._rate_limiter.admit(call.caller)
        if self._num_live > self._max_live:
            raise Overloaded("The gateway is at its limit of live requests.")
        self._retry_budget.add_request()

    def _attempt(self, request: GenerationRequest, call: Call, pin: Pin) -> Arrivals:
        """Up to and with the last event, or an exception."""

        def count(end: End) -> None:
            if pin.count(end) and pin.attempt and (canary := pin.take_shadow()):
                self.shadows.start(canary, request, call, end, pin.attempt)

        return counted(within_deadlines(self._run_pinned(request, call, pin), call), count)

    async def _run_pinned(self, request: GenerationRequest, call: Call, pin: Pin) -> Arrivals:
        pinned = await pin.resolve()
        while True:
            try:
                with self._traffic.live(pinned):
                    async with aclosing(self._run_or_reuse(pinned, request, call, pin.attempt)) as arrivals:
                        async for events in arrivals:
                            yield events
            except (ModelNotFound, VersionNotFound):
                # No event has come. The version was there when we last looked; by now another may be the default.
                gone, pinned = pinned, await pin.resolve_anew()
                if pinned == gone:
                    raise
            else:
                return

    def _run_or_reuse(
        self, pinned: PinnedVersion, request: GenerationRequest, call: Call, attempt: TimedAttempt | None
    ) -> Arrivals:
        request = with_model_defaults(request, call, pinned)
        if call.answer_ids:  # no other request shares the beginning of its answer
            return self._run(pinned, request, call, attempt)
        return self._cache.stream(pinned, request, call, partial(self._run, pinned, request, call, attempt))

    def _run_shadow(
        self, pinned: PinnedVersion, request: GenerationRequest, call: Call, attempt: TimedAttempt
    ) -> Arrivals:
        return self._run(pinned, with_model_defaults(request, call, pinned), call, attempt, may_wait=False)

    async def _run(
        self,
        pinned: PinnedVersion,
        request: GenerationRequest,
        call: Call,
        attempt: TimedAttempt | None,
        *,
        may_wait: bool = True,
    ) -> Arrivals:
        if pinned.archive.contract < CONTRACT_VERSION:
            # In a thread: for thousands of messages it takes a tenth of a second.
            await asyncio.to_thread(refuse_what_the_archive_cannot_know, request, pinned)
        model, version, had_slot = pinned.model, pinned.version, bool(call.answer_ids)
        if request.seed is None:
            request = request.model_copy(update={"seed": call.seed})
        async with (
            self._admission.slot(
                model,
                version,
                pinned.slots,
                may_wait=may_wait,
                is_background=call.is_background,
                had_slot=had_slot,
                timeline=call.timeline,
            ),
            call.timeline.attempt(),
            # Nothing else holds this copy of the request: it need not last as long as the answer.
            aclosing(_taken(self._inference.stream(_of_version(request, model, version), call), attempt)) as arrivals,
        ):
            try:
                async for events in arrivals:
                    yield events
            except Overloaded as error:
                # TorchServe says it of a full queue and of no worker (ApiUtils.java:456-477): a description tells.
                await self._registry.resolve_anew(model, version)
                if error.retry_after is None:  # a script's may tell it
                    error.retry_after = self._admission.retry_after(model, version)
                raise


def _taken(arrivals: Arrivals, attempt: TimedAttempt | None) -> Arrivals:
    return attempt.take(arrivals) if attempt else arrivals


def _of_version(request: GenerationRequest, model: str, version: str) -> GenerationRequest:
    return request.model_copy(update={"model": model, "model_version": version})
