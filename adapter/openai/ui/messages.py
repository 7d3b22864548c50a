"""Messages as the AI SDK's `useChat` keeps and sends them: in parts, an assistant's with the results of its tools.

https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient
from adapter.openai.messages import CalledFunction, Message, MessageToolCall

_TOOL_PREFIX = "tool-"
# Parts that a page shows and no model is told: another model's thoughts and sources, and the page's own data.
_SHOWN_ALONE = ("reasoning", "source-url", "source-document", "step-start", "data-")


class Part(Lenient):
    """A part of a message. Those of a tool have a type that begins with "tool-", or are "dynamic-tool" with a name."""

    type: str
    text: str = ""
    toolName: str = ""  # noqa: N815 - as they have it
    toolCallId: str = ""  # noqa: N815
    state: str = ""
    input: JsonValue = None
    output: JsonValue = None
    errorText: str = ""  # noqa: N815

    @model_validator(mode="after")
    def _is_known(self) -> "Part":
        if self.type == "text" or self.tool or self.type.startswith(_SHOWN_ALONE):
            return self
        raise PydanticCustomError("text_only", "Parts of type {type} are not supported", {"type": f"{self.type!r:.40}"})

    @property
    def tool(self) -> str:
        """The name of the tool whose call it is, if it is one."""
        return self.toolName if self.type == "dynamic-tool" else self.type.removeprefix(_TOOL_PREFIX) * self._is_tool

    @property
    def _is_tool(self) -> bool:
        return self.type.startswith(_TOOL_PREFIX)

    @property
    def result(self) -> str | None:
        """What the tool gave, as a text; None where it is not done."""
        match self.state:
            case "output-available":
                return self.output if isinstance(self.output, str) else json.dumps(self.output, ensure_ascii=False)
            case "output-error" | "output-denied":
                return self.errorText or "The tool was not run."
        return None


class UiMessage(Lenient):
    id: str = ""
    role: Literal["system", "user", "assistant"]
    parts: list[Part] = Field(fail_fast=True)


def as_messages(messages: Sequence[UiMessage]) -> list[Message]:
    """The messages of a chat: each step of an assistant is a message of its own, and each result of a tool."""
    return [each for message in messages for each in _as_messages(message)]


def _as_messages(message: UiMessage) -> Iterator[Message]:
    if message.role != "assistant":
        yield Message(role=message.role, content="\n".join(part.text for part in message.parts if part.type == "text"))
        return
    for step in _steps(message.parts):
        done = [part for part in step if part.tool and part.result is not None]
        text = "".join(part.text for part in step if part.type == "text")
        if text or done:
            yield Message(role="assistant", content=text, tool_calls=list(map(_call, done)))
        for part in done:
            yield Message(role="tool", content=part.result or "", tool_call_id=part.toolCallId)


def _steps(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Each begins with a "step-start"."""
    step: list[Part] = []
    for part in parts:
        if part.type == "step-start" and step:
            yield step
            step = []
        step.append(part)
    yield step


def _call(part: Part) -> MessageToolCall:
    arguments: dict[str, Any] | Any = part.input
    return MessageToolCall(id=part.toolCallId, function=CalledFunction(name=part.tool, arguments=json.dumps(arguments)))
