"""The verdict on a model's canary, for engines that change hosts (Argo Rollouts, Flagger): may it be promoted?"""

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query
from pydantic import Field

from adapter.errors import NotFound
from adapter.generation.canary import Canaries, Definition
from adapter.generation.canary_rule import Decision, Tally, decide
from adapter.generation.shared_counts import SharedCounts, Together
from adapter.http.documented_api import NEEDS_OPERATOR_KEY
from adapter.sent import Sent
from adapter.torchserve.model_registry import ModelRegistry

_LONGEST_NAME = 128

Scope: TypeAlias = Literal["service", "gateway"]


class CanarySide(Sent):
    """One version of the two."""

    version: str
    requests: int = Field(description="The number of requests that ended by the version's doing.")
    failures: int


class CanaryPairs(Sent):
    """Counts of the pairs of requests, one on each version, that could be compared."""

    pairs: int
    slower: int = Field(
        description="The number of pairs in which the canary took more than `max_slowdown` times as long."
    )


class CanaryVerdict(Sent):
    id: str
    model: str
    verdict: Decision
    undecided: tuple[str, ...] = Field(description="The criteria for which there is no decision yet.")
    scope: Scope = Field(
        description="Whether all gateways with one Redis are counted (`service`), or this one alone (`gateway`)."
    )
    gateways: int = Field(description="The number of gateways that are counted.")
    canary: CanarySide
    control: CanarySide
    first_token: CanaryPairs | None = Field(
        description="The comparison of the times to the first token; null if times are not compared."
    )
    per_token: CanaryPairs | None
    margin: float
    min_requests: int
    max_slowdown: float | None
    alpha: float


def canary_verdict_route(registry: ModelRegistry, canaries: Canaries, shared: SharedCounts) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/canary/verdict",
        operation_id="canaryVerdict",
        summary="May the canary be promoted?",
        openapi_extra=NEEDS_OPERATOR_KEY,
    )
    async def canary_verdict(
        model: Annotated[
            str | None, Query(max_length=_LONGEST_NAME, description="The default one, if it is left out.")
        ] = None,
    ) -> CanaryVerdict:
        name = model or (await registry.default_of())[0]
        canary = canaries.of(name)
        together = await (shared.find(name) if canary is None else shared.add(canary))
        if together is not None:
            return _verdict(together, "service")
        if canary is not None:
            return _verdict(Together(canary.id, canary.definition, canary.counts, 1), "gateway")
        raise NotFound(f"No canary of {name!r} runs.")  # a literal breaks no log line

    return router


def _verdict(of: Together, scope: Scope) -> CanaryVerdict:
    definition, counts, rule = of.definition, of.counts, of.definition.rule
    decisions = rule.judge(counts)
    return CanaryVerdict(
        id=of.id,
        model=definition.model,
        verdict=decide(decisions.values()),
        undecided=tuple(each for each, decision in decisions.items() if decision is Decision.GO_ON),
        scope=scope,
        gateways=of.num_gateways,
        canary=_side(definition.version, counts.canary),
        control=_side(definition.control_version, counts.control),
        first_token=_pairs(definition, counts.first_token),
        per_token=_pairs(definition, counts.per_token),
        margin=rule.margin,
        min_requests=rule.min_requests,
        max_slowdown=rule.max_slowdown,
        alpha=rule.alpha,
    )


def _side(version: str, tally: Tally) -> CanarySide:
    return CanarySide(version=version, requests=tally.trials, failures=tally.failures)


def _pairs(definition: Definition, tally: Tally) -> CanaryPairs | None:
    if definition.rule.max_slowdown is None:
        return None
    return CanaryPairs(pairs=tally.trials, slower=tally.failures)
