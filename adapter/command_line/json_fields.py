"""The fields of what a command prints as JSON, by its JSON Schema: also of objects in objects."""

from collections.abc import Iterator
from typing import Any, NamedTuple

_WORDS = {"string": "text", "boolean": "true or false", "array": "list", "null": "null"}


class JsonField(NamedTuple):
    """name: with dots between levels, `[]` for each of a list and `*` for each name of an object."""

    name: str
    kind: str
    description: str


def json_fields(schema: dict[str, Any]) -> Iterator[JsonField]:
    yield from _inside(schema, schema.get("$defs", {}), "")


def _inside(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[JsonField]:
    for alternative in _alternatives(schema, definitions):
        for name, field in alternative.get("properties", {}).items():
            yield from _field(f"{prefix}{name}", field, definitions)
        if isinstance(items := alternative.get("items"), dict):
            yield from _inside(items, definitions, f"{prefix.removesuffix('.')}[].")
        if isinstance(values := alternative.get("additionalProperties"), dict):
            yield from _inside(values, definitions, f"{prefix}*.")


def _field(name: str, field: dict[str, Any], definitions: dict[str, Any]) -> Iterator[JsonField]:
    kinds = [_kind(each) for each in _alternatives(field, definitions)]
    yield JsonField(name, " or ".join(dict.fromkeys(kinds)), field.get("description", ""))
    yield from _inside(field, definitions, f"{name}.")


def _alternatives(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return [found for each in schema["anyOf"] for found in _alternatives(each, definitions)]
    return [schema]


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("format") == "date-time":
        return "time"
    kind: str = schema.get("type", "anything")
    return _WORDS.get(kind, kind)
