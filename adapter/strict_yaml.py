"""Reads YAML that anybody may have written: one small document of plain values, in which every key is there once.

The worker's code reads its settings with it too, so it is packed into every archive.
"""

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

MAX_BYTES = 2**16
MAX_DEPTH = 16

_MERGE_KEY = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """The text is not taken. The message says why, in one line, and in which line of the text."""


def read_yaml(path: Path) -> object:
    """Raises YamlError, whose message begins with the path, or OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        return load_yaml(content)
    except YamlError as error:
        raise YamlError(f"{path}: {error}") from error


def load_yaml(content: bytes) -> object:
    """The values of the document, of at most MAX_BYTES bytes of UTF-8 and MAX_DEPTH levels; None if it is empty."""
    if len(content) > MAX_BYTES:
        raise YamlError(f"it is larger than {MAX_BYTES // 2**10} KiB")
    try:
        text = content.decode()
        # First, because what builds values calls itself for each level (yaml/_yaml.pyx, _compose_node).
        _check_events(yaml.parse(text, Loader=yaml.CSafeLoader))
        # Not the unsafe load(): a SafeLoader's subclass, which makes nothing but plain values.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError(f"it is not YAML: line {line} is not UTF-8") from error
    except yaml.YAMLError as error:
        raise YamlError(f"it is not YAML: {_reason(error)}") from error


class _Loader(yaml.CSafeLoader):
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == _MERGE_KEY:
                raise _refusal(key, "a merge key, <<, is not taken here")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        members = super().construct_mapping(node, deep)
        if len(members) < len(node.value):
            raise self._duplicate(node)
        return members

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except YamlError:
            raise
        except ValueError as error:  # a date that there is not, or a number with too many digits
            raise ConstructorError(problem=str(error), problem_mark=node.start_mark) from error

    def _duplicate(self, node: yaml.MappingNode) -> YamlError:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in lines:
                return _refusal(key_node, f"the key {key_node.value!r:.80} is there already, in line {lines[key]}")
            lines[key] = key_node.start_mark.line + 1
        raise AssertionError("it has no key twice")


def _check_events(events: Iterable[yaml.Event]) -> None:
    depth = 0
    for event in events:
        match event:
            case yaml.AliasEvent() | yaml.NodeEvent(anchor=str()):
                raise _refusal(event, "anchors and aliases, & and *, are not taken here")
            case yaml.ScalarEvent(tag=str()) | yaml.CollectionStartEvent(tag=str()):
                raise _refusal(event, "tags, as !!str, are not taken here: quotes make a text")
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
        if depth > MAX_DEPTH:
            raise _refusal(event, f"it has more than {MAX_DEPTH} levels")


def _refusal(place: yaml.Event | yaml.Node, reason: str) -> YamlError:
    return YamlError(f"{_line(place.start_mark)}: {reason}")


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{_line(error.problem_mark)}: {error.problem}"
    return " ".join(str(error).split())


def _line(mark: Any) -> str:
    return f"line {mark.line + 1}"
