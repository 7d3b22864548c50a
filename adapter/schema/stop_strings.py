"""Texts before which an answer ends."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

MAX_STOP_STRINGS = 64
MAX_STOP_STRING_CHARACTERS = 1_000
# In all of them together: every piece of an answer is compared with each character (handlers/stop_strings.py).
MAX_STOP_CHARACTERS = 4_000

StopString = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STOP_STRING_CHARACTERS)]


def as_list(value: object) -> object:
    """One stop string needs no list."""
    return [value] if isinstance(value, str) else value


def _check_characters(stop: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, stop)) > MAX_STOP_CHARACTERS:
        raise PydanticCustomError(
            "stop_characters", "must have at most {most} characters in all", {"most": MAX_STOP_CHARACTERS}
        )
    return stop


StopStrings = Annotated[
    tuple[StopString, ...],
    Field(max_length=MAX_STOP_STRINGS, strict=False, fail_fast=True),
    AfterValidator(_check_characters),
    BeforeValidator(
        as_list, json_schema_input_type=StopString | Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS)]
    ),
]
