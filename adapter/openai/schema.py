"""What OpenAI's clients send to /v1. Keys that are neither here nor in unsupported.py are ignored; null is as absent.

Ranges are GenerationRequest's: here is only what has another name, shape, range or default there. A field that was sent
to switch something off is None, and in model_fields_set; one that was left out is not.
https://platform.openai.com/docs/api-reference
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from adapter.openai.lenient import Lenient
from adapter.openai.messages import Message
from adapter.openai.response_format import ResponseFormat, TextFormat
from adapter.openai.tools import OfferedTool, ToolChoice
from adapter.openai.unsupported import Unsupported, UnsupportedInChats, UnsupportedInCompletions
from adapter.schema import MAX_LENGTH, MAX_PROMPT_CHARACTERS, MAX_SEED, as_list
from adapter.tools import MAX_TOOLS

_MAX_PROMPTS = 256
TokenIds = Annotated[list[int], Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
MAX_MESSAGES = 2_048  # 3 µs each, and the event loop waits
_NO_LIMIT = (-1, 0)  # llama.cpp's and Ollama's -1, and what chat applications send for "as long as it takes"


def _prompts(value: object) -> object:
    """One text, or one prompt of token ids, needs no list of prompts."""
    match value:
        case str() | [int(), *_]:
            return [value]
    return value


def _limit(tokens: int) -> int:
    """An agent asks for 64,000 or 131,072 tokens of every model; the context ends the answer anyway."""
    return MAX_LENGTH if tokens in _NO_LIMIT else min(tokens, MAX_LENGTH)


def _top_k(value: int) -> int | None:
    return None if value in (-1, 0) else value  # vLLM's names for every token; transformers' and llama.cpp's 0


def _repetition_penalty(value: float) -> float | None:
    return value or None  # 0 is off for llama.cpp and Ollama


def _min_p(value: float) -> float | None:
    return value or None  # 0 is off


def _bias(value: object) -> object:
    return {} if value == [] else value  # PHP's empty map


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _none_if_false(value: object) -> object:
    return None if value is False else value


def _false_if_zero(value: object) -> object:
    return False if value == 0 else value


def _seed(value: int) -> int | None:
    """Any 64 bits in the range of ours, equal ones in equal seeds; -1 is none, for vLLM and llama.cpp."""
    return None if value == -1 else value % (MAX_SEED + 1)


def _stop(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))  # a form's empty line ends no answer


TokenLimit = Annotated[int, AfterValidator(_limit)]


class StreamOptions(Lenient):
    include_usage: bool = False


class SampledRequest(Unsupported):
    """The parameters of all of /v1: who answers, how tokens are drawn, and where the answer ends."""

    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Annotated[int, AfterValidator(_top_k)] | None = None  # this one and the next are vLLM's
    repetition_penalty: Annotated[float, AfterValidator(_repetition_penalty)] | None = None
    min_p: Annotated[float, AfterValidator(_min_p)] | None = None  # vLLM's, as min_tokens and ignore_eos
    frequency_penalty: float = 0
    presence_penalty: float = 0
    logit_bias: Annotated[dict[str, float], BeforeValidator(_bias)] = Field(default_factory=dict)
    min_tokens: int = 0
    ignore_eos: bool = False
    stop: Annotated[
        tuple[str, ...], Field(strict=False, fail_fast=True), BeforeValidator(as_list), AfterValidator(_stop)
    ] = ()
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64), AfterValidator(_seed)] | None = None
    stream: bool = False
    user: str | None = None  # as the header X-User


class OpenAIRequest(SampledRequest):
    """A completion or a chat."""

    response_format: ResponseFormat = TextFormat(type="text")
    n: Annotated[int, Field(ge=1), BeforeValidator(_whole)] = 1
    best_of: int | None = None
    stream_options: StreamOptions = StreamOptions()


class CompletionRequest(OpenAIRequest, UnsupportedInCompletions):
    prompt: Annotated[list[str | TokenIds], Field(min_length=1, max_length=_MAX_PROMPTS), BeforeValidator(_prompts)]
    echo: bool = False
    max_tokens: TokenLimit = 16
    # How many of the likeliest tokens; with 0 only those that were taken.
    logprobs: Annotated[int | None, BeforeValidator(_none_if_false)] = None


class ChatCompletionRequest(OpenAIRequest, UnsupportedInChats):
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    continue_final_message: bool = False
    add_generation_prompt: bool | None = None  # vLLM wants false beside it; it says nothing more
    tools: list[OfferedTool] = Field(default_factory=list, max_length=MAX_TOOLS)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    logprobs: Annotated[bool, BeforeValidator(_false_if_zero)] = False
    top_logprobs: int = 0
    max_tokens: TokenLimit = MAX_LENGTH  # to the end of the answer or of the context
    max_completion_tokens: TokenLimit = MAX_LENGTH  # the new name of max_tokens
