"""The keywords of a call: the request's fields as they are sent, and the options of the call."""

from collections.abc import Mapping
from typing import Any, Literal, Required, TypedDict


class CallOptions(TypedDict, total=False):
    """How one call is treated, whatever it asks for. Times are in seconds, above 0.

    timeout: for each attempt's whole answer. The gateway ends what takes longer, as DeadlineExceeded; if it does not
        within five seconds more, the client does, as TimedOut.
    first_token_timeout: for the time until the first text, which the gateway keeps.
    max_retries: in place of the client's.
    headers: besides the client's, which they override.
    request_id: of 1 to 64 letters, digits, ".", "_" and "-"; the gateway's log, its answer and its errors have it.
    user: the caller's own user: where a canary is tried by user, each one stays with one version.
    use_cache: False if the gateway must not give an answer that it has already.
    """

    timeout: float | None
    first_token_timeout: float | None
    max_retries: int
    headers: Mapping[str, str]
    request_id: str | None
    user: str | None
    use_cache: bool


class SamplingFields(TypedDict, total=False):
    """The fields that requests of prompts and of chats share."""

    max_length: int
    temperature: float
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    min_p: float | None
    frequency_penalty: float
    presence_penalty: float
    logit_bias: Mapping[str, float]
    stop: str | list[str]
    seed: int | None
    min_length: int
    ignore_eos: bool
    model: str | None
    model_version: str | None


class GenerationFields(SamplingFields, total=False):
    """The fields of adapter.schema.GenerationRequest, as they are sent: the gateway checks them."""

    prompt: Required[str]
    logprobs: int | None
    prompt_logprobs: int | None
    output: Mapping[str, Any] | None


class SentFunction(TypedDict):
    name: str
    arguments: str


class SentToolCall(TypedDict):
    """A call that an assistant asked for (`ToolCall.sent`)."""

    id: str
    type: Literal["function"]
    function: SentFunction


class Message(TypedDict, total=False):
    """One turn of a chat, as OpenAI's clients have it. A tool's message names its call by `tool_call_id`."""

    role: Required[Literal["system", "developer", "user", "assistant", "tool"]]
    content: str | None
    tool_calls: list[SentToolCall]
    tool_call_id: str


class Function(TypedDict, total=False):
    """`parameters` is the JSON schema of its arguments, an object."""

    name: Required[str]
    description: str
    parameters: Mapping[str, Any]
    strict: bool


class Tool(TypedDict):
    type: Literal["function"]
    function: Function


class NamedFunction(TypedDict):
    name: str


class ToolChoice(TypedDict):
    """The choice of just this tool."""

    type: Literal["function"]
    function: NamedFunction


class SchemaOutput(TypedDict):
    """The text has to be JSON that is valid by this schema."""

    schema: Mapping[str, Any]


class ChatFields(SamplingFields, total=False):
    """A conversation to go on with. Left out, `temperature` and the like are what the model's authors recommend."""

    messages: Required[list[Message]]
    continue_final_message: bool
    output: SchemaOutput | None
    tools: list[Tool] | None
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None
    parallel_tool_calls: bool | None


class GenerationCall(GenerationFields, CallOptions, total=False):
    pass


class ChatCall(ChatFields, CallOptions, total=False):
    pass
