"""Functions that a model may call in a chat, and its calls of them.

Part of the contract (adapter/schema), and packed into archives with it.
"""

import json
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from adapter.output import JsonSchema, check_multiples, check_schema_size
from adapter.received import Received
from adapter.sent import Sent

MAX_TOOLS = 128  # as OpenAI
MAX_TOOLS_CHARACTERS = 131_072

FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")]


def _check_parameters(schema: JsonSchema) -> JsonSchema:
    if schema.get("type", "object") != "object":
        raise PydanticCustomError("parameters_of_object", "must be of type object: a call has its arguments by name")
    return check_schema_size(schema)


class Tool(Received):
    """A function. Without `parameters` it takes any object."""

    name: FunctionName
    description: str = ""
    parameters: Annotated[JsonSchema, AfterValidator(_check_parameters)] = Field(default_factory=dict)


def _check_together(tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """One automaton is made of all of them."""
    schemas = [tool.parameters for tool in tools]
    check_multiples(schemas)
    if sum(len(json.dumps(schema)) for schema in schemas) > MAX_TOOLS_CHARACTERS:
        raise PydanticCustomError(
            "tools_too_long",
            "must have parameters of at most {most} characters in all, written as JSON",
            {"most": MAX_TOOLS_CHARACTERS},
        )
    return tools


Tools = Annotated[
    tuple[Tool, ...], Field(max_length=MAX_TOOLS, strict=False, fail_fast=True), AfterValidator(_check_together)
]


class ToolCall(Sent):
    """What the model wrote of a call of a function."""

    id: str
    name: str
    arguments: str = Field(description="JSON, valid by the function's parameters unless the answer ends by `length`.")


class ToolCallDelta(Sent):
    """More of a call's arguments; its id and its name come first."""

    index: int = Field(description="The number of the call in its answer, from 0.")
    id: str | None
    name: str | None
    arguments: str
