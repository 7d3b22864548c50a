"""Functions that a model may call, as OpenAI's clients offer them and read its calls."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from adapter.openai.lenient import Lenient
from adapter.tools import ToolCall, ToolCallDelta
from adapter.validation.request_errors import refused_field

Json = dict[str, Any]


class OfferedFunction(Lenient):
    """Its parameters are kept whatever `strict` says."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class OfferedTool(Lenient):
    type: Literal["function"]
    function: OfferedFunction


class NamedFunction(Lenient):
    name: str


class ChosenTool(Lenient):
    type: Literal["function"]
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | ChosenTool


def tool_fields(tools: Sequence[OfferedTool], choice: ToolChoice, *, is_parallel: bool) -> Json:
    """The fields of our own chat request. Raises InvalidRequest if a tool has to be called that is not there."""
    match choice:
        case ChosenTool(function=NamedFunction(name=name)):
            chosen = [tool for tool in tools if tool.function.name == name]
            if not chosen:
                raise refused_field("tool_choice", f"there is no tool {name!r:.80}")
            return {"tools": [_tool(chosen[0])], "tool_choice": "required", "parallel_tool_calls": False}
        case "required" if not tools:
            raise refused_field("tool_choice", "there are no tools")
    if not tools or choice == "none":
        return {}
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise refused_field("tools", "two tools have the same name")
    required: Json = {"tool_choice": "required"} if choice == "required" else {}
    return {"tools": list(map(_tool, tools)), "parallel_tool_calls": is_parallel} | required


def called(calls: Sequence[ToolCall]) -> list[Json]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def called_so_far(deltas: Sequence[ToolCallDelta]) -> list[Json]:
    return [_delta(delta) for delta in deltas]


def _delta(delta: ToolCallDelta) -> Json:
    function = {"arguments": delta.arguments}
    if delta.id is None:
        return {"index": delta.index, "function": function}
    return {"index": delta.index, "id": delta.id, "type": "function", "function": {"name": delta.name} | function}


def _tool(tool: OfferedTool) -> Json:
    return tool.function.model_dump()
