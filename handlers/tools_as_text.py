"""A chat with tools for a template that knows none: the system message describes them, and texts use them."""

import json
from collections.abc import Iterable, Iterator, Sequence

from adapter.schema import ChatMessage
from adapter.tools import Tool
from handlers.tool_formats import GENERIC

_INSTRUCTION = """\
You may call functions. These are there, one a line:
<tools>
{tools}
</tools>
To call one, answer with its name and its arguments, as JSON:
{call}"""
_SAMPLE_CALL = GENERIC.written([("the_name", '{"an_argument": "its value"}')])


def as_texts(messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> list[ChatMessage]:
    """The same conversation in the roles that every template knows."""
    texts = list(_with_results_together(_as_text(message) for message in messages))
    if not tools:
        return texts
    description = _INSTRUCTION.format(tools="\n".join(_in_a_line(tool) for tool in tools), call=_SAMPLE_CALL)
    if texts and texts[0].role == "system":
        return [ChatMessage(role="system", content=f"{texts[0].content}\n\n{description}"), *texts[1:]]
    return [ChatMessage(role="system", content=description), *texts]


def _as_text(message: ChatMessage) -> ChatMessage:
    if message.role == "tool":
        return message.model_copy(update={"content": f"<tool_response>\n{message.content}\n</tool_response>"})
    if not message.tool_calls:
        return message
    calls = GENERIC.written([(call.name, call.arguments) for call in message.tool_calls])
    return ChatMessage(role=message.role, content="\n".join(filter(None, [message.content, calls])))


def _with_results_together(messages: Iterable[ChatMessage]) -> Iterator[ChatMessage]:
    """Joins results to one message of the user, who speaks once between two answers."""
    results: list[str] = []
    for message in messages:
        if message.role == "tool":
            results.append(message.content)
            continue
        if results:
            yield ChatMessage(role="user", content="\n".join(results))
            results = []
        yield message
    if results:
        yield ChatMessage(role="user", content="\n".join(results))


def _in_a_line(tool: Tool) -> str:
    return json.dumps(tool.model_dump(exclude_defaults=True), ensure_ascii=False)
