"""What tools may be, before any model has seen them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from adapter.tools import Tool, Tools

TOOLS: TypeAdapter[tuple[Tool, ...]] = TypeAdapter(Tools)


def tools(*parameters: dict[str, Any]) -> tuple[Tool, ...]:
    named = [{"name": f"tool_{number}", "parameters": each} for number, each in enumerate(parameters)]
    return TOOLS.validate_python(named)


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"$ref": "#/$defs/a", "$defs": {"a": {}}}], ids=str)
def test_parameters_are_an_object(parameters: dict[str, Any]) -> None:
    assert tools(parameters)[0].parameters == parameters


@pytest.mark.parametrize("kind", ["string", "integer", "array", ["object", "null"]], ids=str)
def test_parameters_of_another_type_are_refused(kind: object) -> None:
    with pytest.raises(ValidationError, match="must be of type object"):
        tools({"type": kind})


def test_tools_are_counted_together() -> None:
    with pytest.raises(ValidationError, match="multipleOf"):
        tools(*[{"properties": {"a": {"multipleOf": 9_000 + number}}} for number in range(2)])
    with pytest.raises(ValidationError, match="131072 characters in all"):
        tools(*[{"description": "x" * 60_000} for _ in range(3)])
