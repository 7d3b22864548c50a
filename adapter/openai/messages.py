"""The messages of a chat as OpenAI's clients send them: new ones, and the history of what they were answered."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient
from adapter.openai.unsupported import only
from adapter.tools import MAX_TOOLS

Role = Literal["system", "developer", "user", "assistant", "tool"]


def text_in_parts(*types: str) -> BeforeValidator:
    """The text of a content in parts of `types`. An assistant's refusal is its text, too."""

    def one_text(value: object) -> object:
        if not isinstance(value, list):
            return value
        texts = []
        for part in value:
            match part:
                case {"type": kind, "text": str(text)} if kind in types:
                    texts.append(text)
                case {"type": "refusal", "refusal": str(text)}:
                    texts.append(text)
                case _:
                    raise PydanticCustomError(
                        "text_only", "Text only: every part must be of type {types}", {"types": " or ".join(types)}
                    )
        return "\n".join(texts)

    return BeforeValidator(one_text)


class CalledFunction(Lenient):
    name: str
    arguments: str


class MessageToolCall(Lenient):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Lenient):
    """tool_calls: of an assistant's; tool_call_id: of the call that a message of role "tool" is the result of."""

    role: Role
    content: Annotated[str, text_in_parts("text")]
    tool_calls: list[MessageToolCall] = Field(default_factory=list, max_length=MAX_TOOLS)
    tool_call_id: str | None = None

    function_call: Annotated[Any, only()] = None
    audio: Annotated[Any, only()] = None

    @model_validator(mode="before")
    @classmethod
    def _with_an_assistants_content(cls, data: object) -> object:
        """Every client keeps `content: null` of an answer that refused or had nothing to say."""
        if isinstance(data, dict) and data.get("role") == "assistant" and not data.get("content"):
            return data | {"content": data.get("refusal") or ""}
        return data
