"""The items that a model is to answer: what was said before, by whom, and the calls with their results."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient
from adapter.openai.messages import CalledFunction, Message, MessageToolCall, text_in_parts

_MESSAGE = "message"
_REFERENCE = "item_reference"


class MessageItem(Lenient):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, text_in_parts("input_text", "output_text")]


class FunctionCallItem(Lenient):
    call_id: str
    name: str
    arguments: str


class FunctionCallOutputItem(Lenient):
    call_id: str
    output: Annotated[str, text_in_parts("input_text")]


class ReasoningItem(Lenient):
    """The thoughts of another model, which ours are not given."""


_KINDS = (_MESSAGE, "function_call", "function_call_output", "reasoning")


def _kind(item: Any) -> str:
    """The kind of an item: a message may come without its type."""
    return str(item.get("type", _MESSAGE if "role" in item else "")) if isinstance(item, dict) else ""


def _known(item: object) -> object:
    if not isinstance(item, dict):
        raise PydanticCustomError("model_type", "must be a JSON object")
    kind = _kind(item)
    if kind == _REFERENCE:
        raise PydanticCustomError(
            "unsupported", "This server keeps no items: send the item itself, as clients do with store: false"
        )
    if kind not in _KINDS:
        raise PydanticCustomError(
            "unsupported",
            "Items of type {kind} are not supported: only {known}",
            {"kind": f"{kind!r:.40}", "known": ", ".join(_KINDS)},
        )
    return item


InputItem = Annotated[
    Annotated[MessageItem, Tag(_MESSAGE)]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind),
    BeforeValidator(_known),
]


def one_message(value: object) -> object:
    """A text stands for a message of the user's."""
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def as_messages(items: Sequence[InputItem]) -> list[Message]:
    """The messages of a chat, in which an assistant's text and the calls that follow it are one message."""
    messages: list[Message] = []
    for item in items:
        match item:
            case MessageItem(role=role, content=content):
                messages.append(Message(role=role, content=content))
            case FunctionCallItem():
                _add_call(messages, item)
            case FunctionCallOutputItem(call_id=call_id, output=output):
                messages.append(Message(role="tool", content=output, tool_call_id=call_id))
    return messages


def _add_call(messages: list[Message], item: FunctionCallItem) -> None:
    call = MessageToolCall(id=item.call_id, function=CalledFunction(name=item.name, arguments=item.arguments))
    if messages and messages[-1].role == "assistant":
        last = messages.pop()
        messages.append(last.model_copy(update={"tool_calls": [*last.tool_calls, call]}))
    else:
        messages.append(Message(role="assistant", content="", tool_calls=[call]))
