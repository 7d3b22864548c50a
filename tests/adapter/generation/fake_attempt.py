"""Stands for a TimedAttempt whose times a test says."""

from dataclasses import dataclass

from adapter.generation.timed_attempt import Duration

_SOME = Duration(1.0, is_whole=True)


@dataclass(eq=False)
class FakeAttempt:
    first_token: Duration = _SOME
    per_token: Duration = _SOME
    has_begun: bool = True
    is_over: bool = True
    has_failed: bool = False
    waited: float = 0.0
