"""The requests that a caller may make, and what the gateway hands to the worker of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from adapter.names import Name
from adapter.output import Output
from adapter.received import Received
from adapter.schema.stop_strings import MAX_STOP_CHARACTERS, StopStrings
from adapter.tools import ToolCall, Tools

# The version of WorkerRequest (adapter/worker_contract.py): every later gateway serves an archive packed today.
CONTRACT_VERSION = 5

MAX_PROMPT_CHARACTERS = 1_000_000
MAX_LENGTH = 32_768
MAX_BIASED_TOKENS = 1_024  # as vLLM; OpenAI has 300
MAX_TOP_LOGPROBS = 20
MAX_SEED = 2**53 - 1  # the largest integer that a JavaScript number carries exactly

TokenId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})$(?!\n)")]  # a name in JSON is text
Bias = Annotated[float, Field(ge=-100, le=100)]


class GenerationRequest(Received):
    # Swagger UI sends it as it is where nobody changes it, so it must do something.
    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": "Once upon a time", "max_length": 100}]})

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    max_length: int = Field(
        default=100, ge=1, le=MAX_LENGTH, description="Most tokens to generate, the prompt not counted."
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="0 always takes the likeliest token.")
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Sample among the likeliest tokens that together reach this probability."
    )
    top_k: int | None = Field(default=None, ge=1, le=1_000, description="Sample among this many likeliest tokens.")
    repetition_penalty: float | None = Field(
        default=None, ge=0.1, le=10, description="Above 1 makes tokens that were already used less likely."
    )
    min_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Sample among tokens of at least this part of the likeliest's probability.",
    )
    frequency_penalty: float = Field(
        default=0, ge=-2, le=2, description="Taken off a token's logit for each time that the answer has it already."
    )
    presence_penalty: float = Field(
        default=0, ge=-2, le=2, description="Taken off a token's logit once, if the answer has it already."
    )
    logit_bias: dict[TokenId, Bias] = Field(
        default={},
        max_length=MAX_BIASED_TOKENS,
        description="Added to the logits of tokens, by their ids.",
        json_schema_extra={"additionalProperties": False},
    )
    stop: StopStrings = Field(
        default=(),
        description=f"Generation ends before any of these. At most {MAX_STOP_CHARACTERS:,} characters in all.",
    )
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="The same seed gives the same answer.")
    min_length: int = Field(
        default=0, ge=0, le=MAX_LENGTH, description="Fewest tokens to generate, unless a text of `stop` comes first."
    )
    ignore_eos: bool = Field(default=False, description="Whether to go on where the model would end its answer.")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description="Tell how likely each token was, and this many of the likeliest ones in its place.",
    )
    prompt_logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description="Tell how likely each token of the prompt was, and this many of the likeliest ones in its place.",
    )
    output: Output | None = Field(default=None, description="What the text has to be; any text when absent.")
    model: Name | None = Field(default=None, description="The gateway's default model when absent.")
    model_version: Name | None = Field(default=None, description="The model's default version when absent.")


class ChatMessage(BaseModel):
    """tool_calls: of an assistant; tool_call_id: of the call that a message of role "tool" is the result of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = Field(default=(), strict=False)
    tool_call_id: str | None = None


class ChatGenerationRequest(GenerationRequest):
    """A conversation to go on with; `prompt` is the same as plain text, for a model without a chat template.

    continue_final_message: whether the answer goes on with the text of the last message, which is the assistant's.
    tool_choice: "required" for nothing but calls of `tools`, and "auto" for calls or a text.
    prompt_ids: a prompt as the model's own tokens, in place of `prompt`.
    """

    prompt_ids: tuple[int, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_PROMPT_CHARACTERS, strict=False
    )

    messages: tuple[ChatMessage, ...] | None = Field(default=None, strict=False)
    continue_final_message: bool = False
    tools: Tools = ()
    tool_choice: Literal["auto", "required"] = "auto"
    parallel_tool_calls: bool = True


class WorkerRequest(ChatGenerationRequest):
    """A generation request as the gateway hands it to the worker."""

    id: str
    stream: bool = Field(default=True, description="Whether anybody reads the deltas as they come.")
    answer_ids: tuple[int, ...] = Field(
        default=(),
        max_length=MAX_LENGTH,
        strict=False,
        description="Tokens of the answer that an earlier worker has told: it goes on behind them, and tells the rest.",
    )
