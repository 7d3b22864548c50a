"""Which version answers a request: the one that it names, the canary that it was chosen for, or the default."""

import random

from adapter.call import Call
from adapter.errors import ModelNotReady, TorchbridgeError
from adapter.generation.canary import Canaries, Canary
from adapter.generation.outcomes import End, Outcomes
from adapter.generation.traffic import Traffic
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry, PinnedVersion


class Pin:
    """One request's version over all of its attempts: once chosen for a canary, it stays so."""

    def __init__(
        self, registry: ModelRegistry, traffic: Traffic, canaries: Canaries, request: GenerationRequest, call: Call
    ) -> None:
        self._registry = registry
        self._traffic = traffic
        self._canaries = canaries
        self._request = request
        self._call = call
        self._lot = random.random()  # noqa: S311 - no secret
        self._has_tried_canary = False
        self._outcomes: Outcomes | None = None
        self._shadowed_by: Canary | None = None
        self._has_shadow = False
        self.pinned: PinnedVersion | None = None

    async def resolve(self) -> PinnedVersion:
        """For the next attempt. Raises what ModelRegistry.resolve raises."""
        self._outcomes = self._shadowed_by = None
        pinned = self.pinned = await self._passed(self._request.model, self._request.model_version)
        canary = None if self._request.model_version else self._canaries.of(pinned.model)
        if canary is None or pinned.version != canary.control_version:
            return pinned
        is_chosen = canary.chooses(self._call.user, self._lot)
        if is_chosen and not canary.is_shadow:
            self.pinned = await self._resolve_canary(canary)
            return self.pinned
        self._outcomes = canary.control
        self._shadowed_by = canary if is_chosen else None
        return pinned

    async def resolve_anew(self) -> PinnedVersion:
        """As `resolve`, by what TorchServe says after this call."""
        await self._registry.resolve_anew(self._request.model, self._request.model_version)
        return await self.resolve()

    def count(self, end: End) -> bool:
        """Whether this end of an attempt is a trial of its version."""
        # What another request's run gave is that one's trial.
        return self._outcomes is not None and not self._call.cache.is_reused and self._outcomes.add(end)

    def take_shadow(self) -> Canary | None:
        """The canary that is to answer this request once more; once only, however often it is tried."""
        canary = None if self._has_shadow else self._shadowed_by
        self._has_shadow = self._has_shadow or canary is not None
        return canary

    async def _resolve_canary(self, canary: Canary) -> PinnedVersion:
        is_first, self._has_tried_canary = not self._has_tried_canary, True
        try:
            pinned = await self._passed(canary.model, canary.version)
        except TorchbridgeError as error:
            if is_first:
                # As the default version it would have failed this request.
                canary.canary.add(ModelNotReady(error.detail))
                canary.num_fallbacks += 1
            return await self._passed(self._request.model, None)
        self._outcomes = canary.canary
        return pinned

    async def _passed(self, model: str | None, version: str | None) -> PinnedVersion:
        return await self._traffic.passed(self._registry, model, version)
