"""A canary, begun, kept alive and ended by the command or the server that watches it."""

from fastapi import APIRouter

from adapter.control.messages import (
    CANARY_SECONDS,
    CanaryList,
    CanaryReport,
    CanaryRequest,
    OutcomeReport,
    PairsReport,
    SharedReport,
    SpreadReport,
)
from adapter.errors import Conflict, InvalidRequest, NotFound, VersionNotFound
from adapter.generation.canary import Canaries, Canary
from adapter.generation.outcomes import Outcomes, Spread
from adapter.generation.pairs import Pairs
from adapter.generation.shared_counts import SharedCounts, Together
from adapter.torchserve.model_registry import ModelRegistry

_ALL = 100  # percent


def canary_routes(registry: ModelRegistry, canaries: Canaries, shared_counts: SharedCounts) -> APIRouter:
    router = APIRouter()

    @router.put("/canaries")
    async def begin(request: CanaryRequest) -> CanaryReport:
        canary = await _canary(registry, request)
        canaries.begin(canary, CANARY_SECONDS)
        return describe_canary(canary, await shared_counts.add(canary))

    @router.get("/canaries")
    async def list_running() -> CanaryList:
        reports = [describe_canary(canary, await shared_counts.add(canary)) for canary in canaries.running()]
        return CanaryList(canaries=tuple(reports))

    @router.put("/canaries/{canary_id}")
    async def renew(canary_id: str) -> CanaryReport:
        canary = canaries.renew(canary_id, CANARY_SECONDS)
        await _expect_both(registry, canary)
        return describe_canary(canary, await shared_counts.add(canary))

    @router.delete("/canaries/{canary_id}", status_code=204)
    async def end(canary_id: str) -> None:
        if (canary := canaries.end(canary_id)) is not None:
            await shared_counts.leave(canary)

    @router.post("/canaries/{canary_id}/abort", status_code=204)
    async def abort(canary_id: str) -> None:
        if (canary := canaries.abort(canary_id)) is None:
            raise NotFound("This canary has ended already.")
        await shared_counts.leave(canary)

    return router


async def _canary(registry: ModelRegistry, request: CanaryRequest) -> Canary:
    if request.percent == _ALL and not request.is_shadow:
        raise InvalidRequest("The default version has to answer some: there is nothing else to compare with.")
    default = await registry.resolve_anew(request.model)
    version = await registry.resolve(request.model, request.version)
    if version == default:
        raise Conflict(f"{request.version} is the default version of {request.model} already.")
    return Canary(
        model=version.model,
        version=version.version,
        control_version=default.version,
        share=request.percent / _ALL,
        is_sticky=request.is_sticky,
        is_shadow=request.is_shadow,
        rule=request.rule,
        timeout=request.timeout,
        promotes=request.promotes,
    )


async def _expect_both(registry: ModelRegistry, canary: Canary) -> None:
    """Raises VersionNotFound or Conflict if one of the compared versions has not stayed."""
    model = await registry.model(canary.model)
    if canary.version not in {each.version for each in model.versions}:
        raise VersionNotFound(f"{canary.model} has no version {canary.version} any more.")
    if model.default_version != canary.control_version:
        raise Conflict(f"The default version of {canary.model} is {model.default_version} now.")


def describe_canary(canary: Canary, together: Together | None = None) -> CanaryReport:
    rule = canary.rule
    return CanaryReport(
        id=canary.id,
        model=canary.model,
        version=canary.version,
        control_version=canary.control_version,
        percent=_ALL * canary.share,
        is_sticky=canary.is_sticky,
        is_shadow=canary.is_shadow,
        canary=_describe(canary.canary_outcomes),
        control=_describe(canary.control_outcomes),
        max_slowdown=rule.max_slowdown,
        first_token=_pairs(canary.first_token),
        per_token=_pairs(canary.per_token),
        fallbacks=canary.num_fallbacks,
        dropped=canary.num_dropped,
        compared=canary.num_compared,
        equal=canary.num_equal,
        margin=rule.margin,
        min_requests=rule.min_requests,
        alpha=rule.alpha,
        timeout=canary.timeout,
        promotes=canary.promotes,
        shared=SharedReport(gateways=together.num_gateways, counts=together.counts) if together else None,
    )


def _describe(outcomes: Outcomes) -> OutcomeReport:
    return OutcomeReport(
        answers=outcomes.num_answers,
        failures={str(code): number for code, number in outcomes.failures.items()},
        cut=outcomes.num_cut,
        time_to_first_token=_spread(outcomes.time_to_first_token),
        time_per_token=_spread(outcomes.time_per_token),
    )


def _pairs(pairs: Pairs | None) -> PairsReport | None:
    if pairs is None:
        return None
    pairs.settle()
    return PairsReport(slower=pairs.num_slower, not_slower=pairs.num_not_slower)


def _spread(spread: Spread | None) -> SpreadReport | None:
    return SpreadReport(**spread._asdict()) if spread else None
