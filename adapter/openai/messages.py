"""The messages of a chat as OpenAI's clients send them: new ones, and the history of what they were answered."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient
from adapter.openai.unsupported import only
from adapter.tools import MAX_TOOLS

Role = Literal["system", "developer", "user", "assistant", "tool"]


def _one_text(value: object) -> object:
    """The text of a content that comes in parts. What an assistant refused with is its text, too."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        match part:
            case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                texts.append(text)
            case _:
                raise PydanticCustomError("text_only", "Text only: every part must be of type text")
    return "\n".join(texts)


class CalledFunction(Lenient):
    name: str
    arguments: str


class Call(Lenient):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Lenient):
    """tool_calls: of an assistant's; tool_call_id: of the call that a message of role "tool" is the result of."""

    role: Role
    content: Annotated[str, BeforeValidator(_one_text)]
    tool_calls: list[Call] = Field(default_factory=list, max_length=MAX_TOOLS)
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
