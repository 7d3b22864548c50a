"""A canary of tiny 2.0 that is soon decided, and the watch over it."""

from collections.abc import Callable
from typing import Any

from adapter.control.client import ControlClient
from adapter.control.messages import CanaryRequest
from adapter.generation.canary_rule import Rule
from adapter.versions.canary import Verdict, run_canary

SOON = Rule(margin=0.3, min_requests=10, max_slowdown=100.0)


def request(version: str = "2.0", *, shadow: bool = False, rule: Rule = SOON) -> CanaryRequest:
    return CanaryRequest(model="tiny", version=version, percent=50, is_sticky=False, is_shadow=shadow, **rule._asdict())


def run(gateway: ControlClient, report: Callable[[str], None], *, timeout: float = 60, **about: Any) -> Verdict:
    return run_canary(gateway, request(**about), timeout=timeout, report=report, seconds_between_looks=0.01)
