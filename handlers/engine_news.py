"""The results of an engine: a step's tokens, or that it failed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from handlers.logprobs import Logprobs

# "complete": nothing may follow.
EndReason = Literal["stop", "length", "complete", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One new token for each of `ids`, which of them ended with it, and its logprobs where they are asked for.

    "failed": its logits were not finite, so its token means nothing.
    """

    ids: tuple[str, ...]
    tokens: list[int]
    ended: dict[str, EndReason]
    logprobs: Mapping[str, Logprobs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of `ids` for a reason not their own: the engine failed, or (TimeoutError) nobody asked for them."""

    ids: Collection[str]
    error: Exception


def end_reason(*, is_sound: bool, is_stopped: bool, is_complete: bool) -> EndReason:
    if not is_sound:
        return "failed"
    if is_stopped:
        return "stop"
    return "complete" if is_complete else "length"
