"""Chooses the version that answers a request: the one that it names, the canary, or the default."""

import random

from adapter.call import Call
from adapter.errors import ModelNotFound, ModelNotReady, TorchbridgeError, VersionNotFound
from adapter.generation.canary import Canaries, Canary
from adapter.generation.outcomes import End, Outcomes
from adapter.generation.timed_attempt import TimedAttempt
from adapter.generation.traffic import Traffic
from adapter.schema import GenerationRequest
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.served_models import PinnedVersion


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
        self._has_tried = self._stays = False
        self._outcomes: Outcomes | None = None
        self._shadowed_by: Canary | None = None
        self._has_shadow = False
        self.attempt: TimedAttempt | None = None  # this one, if a canary counts it
        self.pinned: PinnedVersion | None = None

    async def resolve(self) -> PinnedVersion:
        """The version of the next attempt. Raises what ModelRegistry.resolve raises."""
        is_first, self._has_tried = not self._has_tried, True
        self._outcomes = self._shadowed_by = self.attempt = None
        if self._stays and self.pinned is not None:
            self.pinned = await self._passed(self.pinned.model, self.pinned.version)
            return self.pinned
        pinned = self.pinned = await self._resolve_default(is_first=is_first)
        canary = None if self._request.model_version else self._canaries.of(pinned.model)
        if canary is None or pinned.version != canary.control_version:
            return pinned
        is_chosen = canary.chooses(self._call.user, self._lot)
        if is_chosen and not canary.is_shadow:
            self.pinned = await self._resolve_canary(canary, is_first=is_first)
            return self.pinned
        self._outcomes, self.attempt = canary.control_outcomes, canary.attempt("control", self._request)
        self._shadowed_by = canary if is_chosen else None
        return pinned

    async def resolve_anew(self) -> PinnedVersion:
        """As `resolve`, by what TorchServe says after this call."""
        await self._registry.resolve_anew(self._request.model, self._request.model_version)
        return await self.resolve()

    def stay(self) -> None:
        """Keeps every later attempt on this version, which alone can go on with its answer.

        Such an attempt makes a part of an answer, so that no canary counts it.
        """
        self._stays = True

    def count(self, end: End) -> bool:
        """Counts the end of an attempt. Returns whether it is a trial of its version."""
        return self._outcomes is not None and self.attempt is not None and self._outcomes.add(end, self.attempt)

    def take_shadow(self) -> Canary | None:
        """The canary that is to answer this request once more; once only, however often it is tried."""
        canary = None if self._has_shadow else self._shadowed_by
        self._has_shadow = self._has_shadow or canary is not None
        return canary

    async def _resolve_default(self, *, is_first: bool) -> PinnedVersion:
        """The default version, or the one that the request names."""
        try:
            return await self._passed(self._request.model, self._request.model_version)
        except ModelNotReady:
            # A request is counted on the side that it was chosen for, also if that side has no ready worker.
            if is_first and not self._request.model_version:
                await self._count_unready_default()
            raise

    async def _count_unready_default(self) -> None:
        model, version = await self._registry.default_of(self._request.model)
        canary = self._canaries.of(model)
        if canary is None or version != canary.control_version:
            return
        if canary.is_shadow or not canary.chooses(self._call.user, self._lot):
            canary.control_outcomes.add_unready()

    async def _resolve_canary(self, canary: Canary, *, is_first: bool) -> PinnedVersion:
        try:
            pinned = await self._passed(canary.model, canary.version)
        except TorchbridgeError as error:
            if is_first and isinstance(error, ModelNotReady | ModelNotFound | VersionNotFound):
                # If this version were the default, it would have failed this request.
                canary.canary_outcomes.add_unready()
                canary.num_fallbacks += 1
            return await self._passed(self._request.model, None)
        self._outcomes, self.attempt = canary.canary_outcomes, canary.attempt("canary", self._request)
        return pinned

    async def _passed(self, model: str | None, version: str | None) -> PinnedVersion:
        return await self._traffic.passed(self._registry, model, version)
