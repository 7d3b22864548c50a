"""What OpenAI's clients send to /v1. Keys that are not here are ignored, and null is as absent.

Ranges are GenerationRequest's: here is only what has another name, shape or default there.
https://platform.openai.com/docs/api-reference
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from adapter.schema import MAX_LENGTH

Role = Literal["system", "developer", "user", "assistant"]


def _one_prompt(value: object) -> object:
    match value:
        case [str(prompt)]:
            return prompt
        case list():
            raise PydanticCustomError("one_prompt", "One prompt, as text: no token ids, and no second prompt")
    return value


def _one_text(value: object) -> object:
    """The text of a content that comes in parts."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise PydanticCustomError("text_only", "Text only: every part must be of type text")
    return "\n".join(texts)


def _only(*neutral: object) -> BeforeValidator:
    """For a key that would change the answer, and that we do not have: only what asks for nothing of it is taken."""

    def check(value: object) -> object:
        # Compared with their types: True is 1 for Python, and logprobs 0 is not false.
        if (type(value), value) not in [(type(each), each) for each in neutral]:
            raise PydanticCustomError("unsupported", "Not supported by this server: leave it out")
        return value

    return BeforeValidator(check)


class _Lenient(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class StreamOptions(_Lenient):
    include_usage: bool = False


class OpenAIRequest(_Lenient):
    model: str | None = None
    temperature: float = 1
    top_p: float | None = None
    top_k: int | None = None  # this one and the next are vLLM's
    repetition_penalty: float | None = None
    stop: Any = ()  # GenerationRequest takes what OpenAI does: a text, or a list of them
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    user: str | None = None  # as the header X-User

    n: Annotated[Any, _only(1)] = None
    logprobs: Annotated[Any, _only(False)] = None
    frequency_penalty: Annotated[Any, _only(0, 0.0)] = None
    presence_penalty: Annotated[Any, _only(0, 0.0)] = None
    logit_bias: Annotated[Any, _only({})] = None


class CompletionRequest(OpenAIRequest):
    prompt: Annotated[str, BeforeValidator(_one_prompt)]
    max_tokens: int = 16

    best_of: Annotated[Any, _only(1)] = None
    echo: Annotated[Any, _only(False)] = None
    suffix: Annotated[Any, _only("")] = None


class Message(_Lenient):
    role: Role
    content: Annotated[str, BeforeValidator(_one_text)]


class ChatCompletionRequest(OpenAIRequest):
    messages: list[Message] = Field(min_length=1)
    max_tokens: int = MAX_LENGTH  # to the end of the answer or of the context
    max_completion_tokens: int | None = None  # the new name of max_tokens

    top_logprobs: Annotated[Any, _only(0)] = None
    tools: Annotated[Any, _only([])] = None
    functions: Annotated[Any, _only([])] = None
    response_format: Annotated[Any, _only({"type": "text"})] = None
    modalities: Annotated[Any, _only(["text"])] = None
