"""The messages and the tools of a request as chat templates have them (transformers' docs, chat_extras)."""

import json
from collections.abc import Mapping
from typing import Any

from adapter.schema import ChatMessage, WorkerRequest
from adapter.tools import Tool, ToolCall
from handlers.tools_as_text import as_texts

Json = Mapping[str, Any]


def for_template(request: WorkerRequest, *, shows_tools: bool) -> tuple[list[Json], list[Json]]:
    """Messages and tools. shows_tools: whether the template tells the model of the latter."""
    messages = request.messages or ()
    if not shows_tools:
        return [_message(message) for message in as_texts(messages, request.tools)], []
    return [_message(message) for message in messages], [_tool(tool) for tool in request.tools]


def _message(message: ChatMessage) -> Json:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _call(call: ToolCall) -> Json:
    """A call with its arguments as an object, if they are one: most templates write it in JSON themselves."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):  # an answer may have been cut short
        arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> Json:
    return {"type": "function", "function": tool.model_dump()}
