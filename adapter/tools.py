"""Functions that a model may call in a chat, and its calls of them.

Part of the contract (schema.py), and packed into archives with it.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from adapter.output import JsonSchema, check_schema_size
from adapter.received import Received
from adapter.sent import Sent

MAX_TOOLS = 128  # as OpenAI

FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")]


class Tool(Received):
    """A function. Without `parameters` it takes any object."""

    name: FunctionName
    description: str = ""
    parameters: Annotated[JsonSchema, AfterValidator(check_schema_size)] = Field(default_factory=dict)


class ToolCall(Sent):
    """What the model wrote of a call of a function."""

    id: str
    name: str
    arguments: str = Field(description="JSON, valid by the function's parameters unless the answer ends by `length`.")


class ToolCallDelta(Sent):
    """More of a call's arguments; its id and its name come first."""

    index: int = Field(description="Of the call, from 0.")
    id: str | None
    name: str | None
    arguments: str
