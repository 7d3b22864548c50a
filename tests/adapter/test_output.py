"""What an output may be, before any model has seen it."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapter.output import JsonOutput


@pytest.mark.parametrize(
    "schema",
    [
        {"multipleOf": 10_000},
        {"multipleOf": 0.0025},
        {"allOf": [{"multipleOf": 97}, {"multipleOf": 103}]},
        {"properties": {"multipleOf": {"type": "string"}, "a": {"multipleOf": True}}},
    ],
    ids=str,
)
def test_multiples_that_an_automaton_can_count_are_taken(schema: dict[str, Any]) -> None:
    assert JsonOutput(schema=schema).json_schema == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"multipleOf": 10_001},
        {"multipleOf": 1e300},
        {"multipleOf": 100.03},
        {"allOf": [{"multipleOf": 97}, {"multipleOf": 103}, {"multipleOf": 2}]},
        {"properties": {"a": {"items": {"multipleOf": 10_001}}}},
    ],
    ids=str,
)
def test_multiples_that_it_would_count_for_minutes_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must have a multipleOf of at most 10000"):
        JsonOutput(schema=schema)
