"""The form that an answer's text must have: a JSON schema, a regular expression, or one of some texts.

Part of the contract (adapter/schema), and packed into archives with it.
"""

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from adapter.received import Received

MAX_JSON_SCHEMA_CHARACTERS = 65_536
MAX_REGEX_CHARACTERS = 4_000
MAX_CHOICES = 1_000
MAX_CHOICE_CHARACTERS = 1_000
# Of all choices together. Each is a branch of the automaton that is asked before each token.
MAX_CHARACTERS_OF_CHOICES = 20_000

# The product of all in a schema: an automaton has a state for each remainder, and counts with all at once.
MAX_MULTIPLE_OF = 10_000

JsonSchema = dict[str, Any]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHOICE_CHARACTERS)]


def check_schema_size(schema: JsonSchema) -> JsonSchema:
    if len(json.dumps(schema)) > MAX_JSON_SCHEMA_CHARACTERS:
        raise PydanticCustomError(
            "schema_too_long",
            "must have at most {most} characters when it is written as JSON",
            {"most": MAX_JSON_SCHEMA_CHARACTERS},
        )
    check_multiples(schema)
    return schema


def check_multiples(schemas: object) -> None:
    """schemas: one, or several that one automaton is made of."""
    if math.prod(_digits(value) for value in _multiples(schemas)) > MAX_MULTIPLE_OF:
        raise PydanticCustomError(
            "multiple_of_too_large",
            "must have a multipleOf of at most {most}, all of them multiplied and without a decimal point",
            {"most": MAX_MULTIPLE_OF},
        )


def _multiples(schema: object) -> Iterator[float]:
    match schema:
        case dict():
            value = schema.get("multipleOf")
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield value
            for each in schema.values():
                yield from _multiples(each)
        case list() | tuple():
            for each in schema:
                yield from _multiples(each)


def _digits(value: float) -> int:
    """The digits as a whole number: 25 for 0.25."""
    _, digits, exponent = Decimal(str(value)).as_tuple()
    zeros = min(max(exponent, 0), 20) if isinstance(exponent, int) else 0
    return max(1, int("".join(map(str, digits)) + "0" * zeros))


def _check_choices(choices: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, choices)) > MAX_CHARACTERS_OF_CHOICES:
        raise PydanticCustomError(
            "choices_too_long", "must have at most {most} characters in all", {"most": MAX_CHARACTERS_OF_CHOICES}
        )
    return choices


class JsonOutput(Received):
    model_config = ConfigDict(title="JSON of a schema", serialize_by_alias=True)

    # Pydantic's own models have a method of that name.
    json_schema: Annotated[JsonSchema, AfterValidator(check_schema_size)] = Field(
        alias="schema",
        description=(
            "JSON schema, draft 2020-12. What cannot be kept is refused, by its name, before there is a token."
            f" At most {MAX_JSON_SCHEMA_CHARACTERS:,} characters."
        ),
    )


class RegexOutput(Received):
    regex: str = Field(
        min_length=1,
        max_length=MAX_REGEX_CHARACTERS,
        description="A pattern of the whole text, by Rust's regex crate: without look-around and back-references.",
    )


class ChoiceOutput(Received):
    choice: Annotated[tuple[Choice, ...], AfterValidator(_check_choices)] = Field(
        min_length=1, max_length=MAX_CHOICES, strict=False, description="The text is one of these."
    )


# By the member that a caller has sent. The tags are a part of the location of errors that no caller knows.
_KINDS: dict[str, type[Received]] = {"schema": JsonOutput, "regex": RegexOutput, "choice": ChoiceOutput}
_TAGS = {name: f"output of a {name}" for name in _KINDS}
TAGS = frozenset(_TAGS.values())


def _tag(value: Any) -> str | None:
    names = value if isinstance(value, dict) else [name for name, kind in _KINDS.items() if isinstance(value, kind)]
    said = [name for name in _KINDS if name in names]
    return _TAGS[said[0]] if len(said) == 1 else None


Output = Annotated[
    Annotated[JsonOutput, Tag(_TAGS["schema"])]
    | Annotated[RegexOutput, Tag(_TAGS["regex"])]
    | Annotated[ChoiceOutput, Tag(_TAGS["choice"])],
    Discriminator(
        _tag,
        custom_error_type="output_form",
        custom_error_message="must have one of schema, regex and choice, and no second one",
    ),
]
