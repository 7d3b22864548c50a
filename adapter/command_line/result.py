"""What a command prints at its end: words for people, and with --json an object for programs."""

import time
from typing import Annotated

from pydantic import BaseModel, Field

from adapter.process.background_output import say

Seconds = Annotated[float, Field(description="How long the command took, in seconds.")]
Interrupted = Annotated[
    str | None,
    Field(description="How the change of an interrupted command was ended first; null if none was interrupted."),
]


class Result(BaseModel):
    def in_words(self) -> str:
        raise NotImplementedError


def show(result: Result, *, as_json: bool) -> None:
    """Prints it. Not in a block of `background_output`: that may drop it, and show it before the last progress."""
    say(result.model_dump_json(indent=2) if as_json else result.in_words())


def seconds_since(began: float) -> float:
    """`began` is a value of time.monotonic()."""
    return round(time.monotonic() - began, 3)
