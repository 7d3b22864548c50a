"""Grammars of answers that may call functions, in Lark as llguidance has it (its docs/syntax.md)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapter.output import JsonOutput, JsonSchema, Output
from adapter.tools import Tool
from handlers.tool_formats import ToolFormat

_ANY_TEXT = r"/(.|\n)*/"


class CallableTools(NamedTuple):
    """The tools that an answer may call, and the text that it may have without a call.

    is_required: it is nothing but calls. are_several: it may have more than one.
    output: what a text without calls has to be.
    """

    format: ToolFormat
    tools: Sequence[Tool]
    is_required: bool
    are_several: bool
    output: Output | None


def grammar_of_calls(calls: CallableTools, options: Mapping[str, object], special_tokens: Mapping[str, int]) -> str:
    """Rules, the first of them `answer`. options: of its JSON schemas. special_tokens: the ids, by names."""
    form = calls.format
    literal = _Literals(special_tokens)
    bodies = [
        f"body_{number}: {literal(tool.name + form.middle)} arguments_{number} {literal(form.call_end)}"
        for number, tool in enumerate(calls.tools)
    ]
    arguments = [f"arguments_{number}: {arguments_rule(tool, options)}" for number, tool in enumerate(calls.tools)]
    body = " | ".join(f"body_{number}" for number in range(len(bodies)))
    more = "" if form.separator is None else f"({literal(form.separator + form.call_begin)} body)*"
    rules = [
        f"calls: body {more if calls.are_several else ''} {literal(form.end)}",
        f"body: {body}",
        *bodies,
        *arguments,
        f"only_calls: {literal(form.opening)} calls",
    ]
    if calls.is_required:
        return _lark("only_calls", rules)
    if isinstance(calls.output, JsonOutput):
        return _lark("only_calls | text", [*rules, f"text: {json_rule(calls.output.json_schema, options)}"])
    if not form.trigger:
        # A text that begins as a call is one.
        return _lark("only_calls | TEXT", [*rules, r"TEXT: /([^{](.|\n)*)?/"])
    after = literal(form.opening.removeprefix(form.trigger))
    rules += [f"TEXT: {_ANY_TEXT}", f"text_and_calls: before {after} calls"]
    if form.trigger in special_tokens:
        return _lark("TEXT | text_and_calls", [*rules, f"before: TEXT {literal(form.trigger)}"])
    return _lark("TEXT | text_and_calls", [*rules, f"before[lazy]: TEXT {literal(form.trigger)}"])


class _Literals:
    """Text as a grammar has it: the special tokens in it are these tokens, not their spelling."""

    def __init__(self, special_tokens: Mapping[str, int]) -> None:
        self._ids = special_tokens
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._parts = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")

    def __call__(self, text: str) -> str:
        parts = filter(None, self._parts.split(text))
        return " ".join(f"<[{self._ids[part]}]>" if part in self._ids else json.dumps(part) for part in parts)


def arguments_rule(tool: Tool, options: Mapping[str, object]) -> str:
    return json_rule({"type": "object"} | tool.parameters, options)


def json_rule(schema: JsonSchema, options: Mapping[str, object]) -> str:
    """options: of llguidance, whatever the schema's own say."""
    return f"%json {json.dumps(schema | {'x-guidance': options})}"


def _lark(start: str, rules: Sequence[str]) -> str:
    return "\n".join([f"answer: {start}", *rules])
